import Foundation
import TestSupport
import Testing

/// `plan` for models that are not here, and for several processes.
struct PlanTests {
  /// A checkpoint without numbers takes no disk space, and a run on it is predicted like one on random weights.
  @Test func emptyWeightsAreEnough() throws {
    let scratch = try ScratchFolder()
    let options = [
      "--like", "smollm2-135m", "--layers", "4", "--width", "256", "--vocabulary", "1000",
    ]
    let made = ["empty", "random"].map { name in
      try? Command.run(
        ["synthesize"] + options + (name == "empty" ? ["--empty"] : []) + [name], in: scratch)
    }
    try #require(made.allSatisfy { $0?.status == 0 })
    let status = { (name: String) throws -> stat in
      var status = stat()
      try #require(stat(scratch["\(name)/model.safetensors"], &status) == 0)
      return status
    }
    let (empty, random) = (try status("empty"), try status("random"))
    #expect(empty.st_size == random.st_size)
    // The header alone, in blocks of 512 bytes.
    #expect(empty.st_blocks * 512 < 1 << 16)
    let memory = try ["empty", "random"].map { name in
      let plan = try Command.run(
        ["plan", name, "--token-ids", "1,2,3", "--threads", "1"], in: scratch)
      try #require(plan.status == 0, "\(plan.error)")
      let line = plan.output.split(separator: "\n").first { $0.hasSuffix("peak private memory") }
      return try #require(
        line?.split(separator: " ").first.flatMap { Double($0) }, "\(plan.output)")
    }
    // The pages of the program that happen to be in memory differ a little from one process to the next.
    #expect(abs(memory[0] / memory[1] - 1) < 0.05, "\(memory)")
  }

  private struct Plan: Decodable {
    struct Traffic: Decodable { var calls, bytes: Int }
    struct Communication: Decodable { var product, block, total: Traffic }
    struct Part: Decodable {
      var name: String
      var bytes: Int
    }
    var teams, weightBytes, peakPrivateBytes: Int
    var mappedParts: [Part]
    var seconds, totalSeconds: [Double]
    var communication: Communication?
  }

  /// A slice reads its part of a block, and sends what the formula in the documentation says.
  @Test func slicesShareABlock() throws {
    let scratch = try ScratchFolder()
    let width = 256
    let made = try Command.run(
      [
        "synthesize", "--like", "llama-2-7b", "--layers", "3", "--width", "\(width)",
        "--vocabulary", "100", "--empty", "model",
      ], in: scratch)
    try #require(made.status == 0, "\(made.error)")
    let arguments = ["plan", "model", "--token-ids", "1,2,3", "--threads", "1", "--json"]
    let plan = { (options: [String]) throws -> Plan in
      let plan = try Command.run(arguments + options, in: scratch)
      try #require(plan.status == 0, "\(plan.error)")
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return try decoder.decode(Plan.self, from: Data(plan.output.utf8))
    }
    let whole = try plan([])
    #expect(whole.teams == 1 && whole.communication == nil)
    let shared = try plan(["--processes", "3"])
    #expect(shared.teams == 3 && shared.communication == nil)
    #expect(shared.weightBytes == whole.weightBytes)
    // Three blocks for three teams, each of which goes through all of them.
    #expect(shared.totalSeconds[1] < shared.seconds[1])

    let sliced = try plan(["--processes", "4", "--slices", "2"])
    #expect(sliced.teams == 2 && 2 * sliced.weightBytes == whole.weightBytes)
    #expect(try #require(sliced.mappedParts.last).bytes < whole.mappedParts.last!.bytes)
    let sent = try #require(sliced.communication)
    // Two sums of 8 vectors in single precision, and half of each vector in double precision.
    #expect(sent.product.calls == 3)
    #expect(sent.product.bytes == 2 * width * 8 * 4 + width / 2 * 8 * 8)
    #expect(sent.block.bytes > 36 * sent.product.bytes)
    #expect(sent.total.bytes > sent.block.bytes)

    for options in [
      ["--processes", "3", "--slices", "2"], ["--slices", "2"], ["--processes", "0"],
    ] {
      let refused = try Command.run(arguments + options, in: scratch)
      #expect(refused.status == 64 && refused.error.contains("must"), "\(refused.error)")
    }
  }

  /// Processes that hold blocks together use the solver's own block size, not the one that a single process takes on this machine.
  @Test func slicesDoNotTakeTheBlockSizeOfOneProcess() throws {
    let scratch = try ScratchFolder()
    let made = try Command.run(
      [
        "synthesize", "--like", "llama-2-7b", "--layers", "1", "--width", "512", "--vocabulary",
        "100", "--empty", "model",
      ], in: scratch)
    try #require(made.status == 0, "\(made.error)")
    let passes = { (options: [String]) throws -> Int in
      let plan = try Command.run(
        ["plan", "model", "--token-ids", "1,2,3", "--threads", "1", "--json"] + options,
        in: scratch, environment: ["XDG_CACHE_HOME": scratch["cache"]])
      try #require(plan.status == 0, "\(plan.error)")
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return try decoder.decode(Passes.self, from: Data(plan.output.utf8)).solvePasses
    }
    _ = try passes([])
    // A machine on which each vector costs the same, so that the narrowest block is best.
    let name = try #require(
      try FileManager.default.contentsOfDirectory(atPath: scratch["cache/krylens"]).first)
    let file = URL(fileURLWithPath: scratch["cache/krylens/\(name)"])
    var entry = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
    entry["times"] = ["products": [6, 8, 12, 16], "orthogonalisation": 1e-15]
    try JSONSerialization.data(withJSONObject: entry).write(to: file)
    let slices = ["--processes", "2", "--slices", "2"]
    #expect(try passes([]) == passes(["--block-size", "6"]))
    #expect(try passes(slices) == passes(slices + ["--block-size", "8"]))
    #expect(try passes(slices) < passes([]))
  }

  private struct Passes: Decodable { var solvePasses: Int }
}
