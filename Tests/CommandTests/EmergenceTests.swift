import Studies
import Alignment
import Foundation
import TestSupport
import Testing

@testable import Analysis

/// A sequence of checkpoints gives a run per checkpoint, a table and `emergence.csv`.
struct EmergenceTests {
  private static let tokens = ["--token-ids", "5,3,9,7", "--token-ids", "1,2", "--top", "4"]
  private static let columns = [
    "step", "position", "quantity", "tokens", "rank", "mean", "standard_error", "lower", "upper",
    "null",
  ]

  /// Three checkpoints of one shape with different weights, whose names sort out of order.
  private func checkpoints() throws -> ScratchFolder {
    let scratch = try ScratchFolder()
    for (step, seed) in [(0, 1), (10, 2), (9, 3)] {
      let made = try Command.run(
        [
          "synthesize", "--like", "smollm2-135m", "--layers", "3", "--width", "64",
          "--vocabulary", "16", "--dtype", "f32", "--seed", "\(seed)", "models/step\(step)",
        ], in: scratch)
      try #require(made.status == 0, "\(made.error)")
    }
    return scratch
  }

  private func rows(_ path: String) throws -> [[String: String]] {
    let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    #expect(lines.first == Self.columns)
    return try lines.dropFirst().map { fields in
      try #require(fields.count == Self.columns.count, "\(fields)")
      return Dictionary(uniqueKeysWithValues: zip(Self.columns, fields))
    }
  }

  private func modified(_ path: String) throws -> Date? {
    try FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
  }

  @Test func everyCheckpointIsARunOfAlign() throws {
    let scratch = try checkpoints()
    let options = Self.tokens + ["--ranks", "2,4", "--threads", "1"]
    let finished = try Command.run(["emergence", "models", "-o", "out"] + options, in: scratch)
    try #require(finished.status == 0, "\(finished.error)")
    let files = FileManager.default
    #expect(
      try files.contentsOfDirectory(atPath: scratch["out"]).sorted()
        == ["emergence.csv", "step0", "step10", "step9"])
    let rows = try rows(scratch["out/emergence.csv"])
    for step in [0, 9, 10] {
      let record = try StoredRun(scratch["out/step\(step)"]).record
      #expect(record.model.trainingStep == step && record.model.name == "step\(step)")
      // The numbers are those of align alone.
      let alone = try Command.run(
        ["align", "models/step\(step)", "-o", "alone\(step)"] + options, in: scratch)
      try #require(alone.status == 0, "\(alone.error)")
      for table in ["coupling.csv", "trajectory.csv", "singular_values.csv"] {
        #expect(
          files.contents(atPath: scratch["out/step\(step)/\(table)"])
            == files.contents(atPath: scratch["alone\(step)/\(table)"]), "\(table)")
      }
      // The table shows the numbers of the run.
      for rank in [2, 4] {
        let statistic = try #require(
          record.statistics.coupling(.depth, CouplingSetting(rank: rank)))
        let row = try #require(
          rows.first {
            $0["step"] == "\(step)" && $0["quantity"] == "coupling" && $0["rank"] == "\(rank)"
          })
        #expect(Double(row["mean"] ?? "") == statistic.value.mean)
        #expect(Double(row["standard_error"] ?? "") == statistic.value.standardError)
        #expect(Double(row["lower"] ?? "") == statistic.value.interval?.lower)
        #expect(Double(row["upper"] ?? "") == statistic.value.interval?.upper)
        #expect(Double(row["null"] ?? "") == statistic.null)
      }
      for statistic in record.statistics.trajectory {
        let row = try #require(
          rows.first {
            $0["step"] == "\(step)" && $0["quantity"] == statistic.quantity.rawValue
              && $0["tokens"] == statistic.tokens.rawValue
          })
        #expect(Double(row["mean"] ?? "") == statistic.value.mean)
      }
    }
    // 2 ranks of coupling; 3 quantities of 3 groups of tokens, and the cosine.
    #expect(rows.count == 3 * (2 + 10))
    // By number, not by name; step 0 at half of the first step on a logarithmic axis.
    let couplings = rows.filter { $0["quantity"] == "coupling" && $0["rank"] == "4" }
    #expect(couplings.compactMap { $0["step"] } == ["0", "9", "10"])
    #expect(couplings.compactMap { Double($0["position"] ?? "") } == [4.5, 9, 10])
    let printed = finished.output.split(separator: "\n").compactMap {
      $0.split(separator: " ").first.flatMap { Int($0) }
    }
    #expect(printed == [0, 9, 10])
    // The second time nothing is run, and the output is the same.
    let times = try [0, 9, 10].map { try modified("\(scratch["out"])/step\($0)/result.json") }
    let again = try Command.run(["emergence", "models", "-o", "out"] + options, in: scratch)
    #expect(again.status == 0 && again.output == finished.output, "\(again.error)")
    #expect(
      try [0, 9, 10].map { try modified("\(scratch["out"])/step\($0)/result.json") } == times)
    #expect(finished.output.contains("at step 0 to") && finished.output.contains("at step 10"))
  }

  @Test func theStepOfAlignIsGivenOrInTheName() throws {
    let scratch = try checkpoints()
    let cases: [(model: String, options: [String], step: Int?)] = [
      ("models/step9", [], 9), ("models/step9", ["--random-init"], nil),
      ("models/step9", ["--step", "700"], 700),
      (ModelFixture("llama").folder, [], nil), (ModelFixture("llama").folder, ["--step", "3"], 3),
    ]
    for (i, example) in cases.enumerated() {
      let finished = try Command.run(
        ["align", example.model, "-o", "run\(i)", "--quiet"] + Self.tokens + example.options,
        in: scratch)
      try #require(finished.status == 0, "\(finished.error)")
      let record = try StoredRun(scratch["run\(i)"]).record
      #expect(record.model.trainingStep == example.step && record.settings.step == example.step)
    }
  }

  @Test(arguments: [
    (["emergence", "nothing"], "step128"),
    (["emergence", "models", "models/step9"], "leave one of them out"),
    (["emergence", "models", "--score", "misfit"], "one-minus"),
    (["emergence", "models", "--normalisation", "p=1.5"], "frobenius or trace"),
    (["emergence", "models", "--random-init"], "krylens align"),
    (["emergence"], "checkpoints"),
    (["align", "models/step9", "--step", "-1"], "--step"),
  ])
  func wrongUsage(arguments: [String], says words: String) throws {
    let scratch = try checkpoints()
    let finished = try Command.run(arguments + Self.tokens + ["-o", "out"], in: scratch)
    #expect(finished.status == 64)
    #expect(finished.error.contains(words), "\(finished.error)")
    #expect(scratch.contents == ["models"])
  }

  @Test func aDamagedCheckpointIsFoundBeforeAnyWork() throws {
    let scratch = try checkpoints()
    try scratch.write([1, 2, 3], to: "models/step10/model.safetensors")
    let finished = try Command.run(
      ["emergence", "models", "-o", "out"] + Self.tokens, in: scratch)
    #expect(finished.status == 1 && finished.error.contains("step10/model.safetensors"))
    #expect(scratch.contents == ["models"])
  }
}

/// Checkpoints that do not belong together, and one among many that cannot be run.
struct EmergenceFailureTests {
  private static let tokens = ["--token-ids", "5,3,9,7", "--token-ids", "1,2", "--top", "4"]

  /// Steps with the layers, width and seed of each; the defaults give all the same architecture.
  private func checkpoints(
    _ models: [(layers: Int, width: Int, seed: Int)]
  ) throws -> ScratchFolder {
    let scratch = try ScratchFolder()
    for (step, model) in models.enumerated() {
      let made = try Command.run(
        [
          "synthesize", "--like", "smollm2-135m", "--layers", "\(model.layers)", "--width",
          "\(model.width)", "--vocabulary", "16", "--dtype", "f32", "--seed", "\(model.seed)",
          "models/step\(step)",
        ], in: scratch)
      try #require(made.status == 0, "\(made.error)")
    }
    return scratch
  }

  /// The odd one is named before any work: it would appear in the table of another model's training.
  @Test(arguments: [
    ([2, 3, 2], [64, 64, 64], ["step1: blocks 3 instead of 2"]),
    ([2, 3, 4], [64, 64, 64], ["step1: blocks 3 instead of 2", "step2: blocks 4 instead of 2"]),
    ([3, 3, 3], [128, 64, 64], ["step0: width 128 instead of 64"]),
  ])
  func otherArchitectures(layers: [Int], widths: [Int], words: [String]) throws {
    let scratch = try checkpoints(zip(layers, widths).map { ($0, $1, 1) })
    let finished = try Command.run(
      ["emergence", "models", "-o", "out"] + Self.tokens, in: scratch)
    #expect(finished.status == 64 && finished.output.isEmpty && finished.complaints.count == 1)
    for word in words { #expect(finished.error.contains(word), "\(finished.error)") }
    #expect(scratch.contents == ["models"])
  }

  @Test func theSameWeightsUnderTwoSteps() throws {
    let scratch = try checkpoints([(2, 64, 1), (2, 64, 2), (2, 64, 1)])
    let finished = try Command.run(
      ["emergence", "models", "-o", "out"] + Self.tokens, in: scratch)
    #expect(finished.status == 0, "\(finished.error)")
    #expect(finished.output.contains("steps 0, 2 have the same weights"))
    #expect(finished.output.split(separator: "\n").allSatisfy { $0.count <= 80 })
  }

  /// The others are finished, and once it is restored the same command runs only this one.
  @Test func oneOfManyFails() throws {
    let scratch = try checkpoints([(2, 64, 1), (2, 64, 2), (2, 64, 3)])
    let weights = "models/step1/model.safetensors"
    let whole = try Data(contentsOf: URL(fileURLWithPath: scratch[weights]))
    var broken = whole
    // Bytes 0xFF are NaN; the middle of the file is of a matrix, which is read when its block is.
    let middle = whole.count / 2
    broken.replaceSubrange(middle..<middle + 64, with: [UInt8](repeating: 0xFF, count: 64))
    try scratch.write(Array(broken), to: weights)
    let command = ["emergence", "models", "-o", "out"] + Self.tokens
    let finished = try Command.run(command, in: scratch)
    #expect(finished.status == 1)
    #expect(finished.error.contains("step 1 failed: ") && finished.error.contains("1 of 3 check"))
    for step in [0, 2] { #expect(try StoredRun(scratch["out/step\(step)"]).record.complete) }
    let failed = try String(contentsOfFile: scratch["out/failed.csv"], encoding: .utf8)
    #expect(failed.hasPrefix("step,model,reason\n1,\"models/step1\",\""))
    let table = try String(contentsOfFile: scratch["out/emergence.csv"], encoding: .utf8)
    let steps = Set(table.split(separator: "\n").dropFirst().map { $0.prefix { $0 != "," } })
    #expect(steps == ["0", "2"])
    let files = FileManager.default
    let before = files.contents(atPath: scratch["out/step2/result.json"])
    try? files.removeItem(atPath: scratch["out/step1"])
    try scratch.write(Array(whole), to: weights)
    let again = try Command.run(command, in: scratch)
    #expect(again.status == 0, "\(again.error)")
    #expect(!files.fileExists(atPath: scratch["out/failed.csv"]))
    #expect(files.contents(atPath: scratch["out/step2/result.json"]) == before)
    #expect(try StoredRun(scratch["out/step1"]).record.complete)
  }

  /// A prompt that failed at one step is left out at every step, so that all means are of the same prompts.
  @Test func aPromptFailsAtOneStep() throws {
    let base = try MadeRuns.base.get()
    var other = base
    other.prompts[1].failed = PromptFailure(number: 2, layer: 1, reason: "not finite")
    let emergence = Emergence([(1, base), (2, other)])
    #expect(emergence.prompts == 2)
    #expect(
      emergence.notes.contains {
        $0.hasPrefix("prompt 2 (token ids ") && $0.contains(") failed at step 2")
      })
    for point in emergence.points { #expect(point.value.perPrompt.count == 2) }
    let means = emergence.series(Emergence.coupling, rank: 4).map(\.value.mean)
    #expect(means.count == 2 && means[0] == means[1])
  }
}

/// The committed checkpoints of benchmarks/training-demo show what its README says.
struct TrainingDemoTests {
  private static let folder = ModelFixture.path("../benchmarks/training-demo")

  @Test func couplingEmerges() throws {
    let scratch = try ScratchFolder()
    let ends = ["step0", "step2048"].map { "\(Self.folder)/checkpoints/\($0)" }
    let finished = try Command.run(
      ["emergence"] + ends + ["--prompts", "\(Self.folder)/prompts.txt", "-o", "out"], in: scratch)
    try #require(finished.status == 0, "\(finished.error)")
    let couplings = try [0, 2048].map { step in
      let record = try StoredRun(scratch["out/step\(step)"]).record
      return try #require(record.statistics.coupling(.depth, CouplingSetting(rank: 10)))
    }
    let intervals = try couplings.map { try #require($0.value.interval) }
    #expect(intervals[0].upper < intervals[1].lower)
    // At first the blocks are unrelated; at the end they are coupled.
    #expect(intervals[1].lower > (try #require(couplings[1].null)))
  }

  @Test func everyCheckpointLoads() throws {
    let steps = try CheckpointSequence(["\(Self.folder)/checkpoints"]).checkpoints
    #expect(steps.map(\.step) == [0, 16, 64, 128, 256, 512, 1024, 2048])
    let scratch = try ScratchFolder()
    for checkpoint in steps {
      let finished = try Command.run(["info", checkpoint.model], in: scratch)
      #expect(finished.status == 0, "\(finished.error)")
    }
  }
}
