import Analysis
import Foundation
import LinearAlgebra
import TestSupport
import Testing

@Suite struct LensCommands {
  private static let prompts = [
    [5, 3, 9, 7, 2, 8], [1, 2, 11], [11, 4, 6, 10, 3], [7, 7, 1, 12],
  ]

  private static func fit(
    _ scratch: ScratchFolder, _ name: String, _ options: [String] = [], model: String = "llama",
    prompts: [[Int]] = prompts
  ) throws -> LensRecord {
    let ids = prompts.flatMap { ["--token-ids", $0.list] }
    let finished = try Command.run(
      ["lens", "fit", try ModelFixture(model).folder, "-o", name, "--threads", "1", "--skip", "1"]
        + ids + options, in: scratch)
    try #require(finished.status == 0, "\(finished.error)")
    return try LensRecord(folder: scratch[name])
  }

  /// The low-rank part is exact within its basis, and the error estimate is near the true error against the full matrices.
  @Test func theErrorIsThatAgainstTheWholeMatrices() throws {
    let scratch = try ScratchFolder()
    let dense = try Self.fit(scratch, "dense", ["--dense"])
    let part = try Self.fit(scratch, "part", ["--rank", "4", "--oversampling", "2"])
    #expect(dense.layers.map(\.fromLayer) == Array(0..<dense.model.layers))
    #expect(dense.positions == 14 && part.positions == 14)
    #expect(dense.applications.vjp == 4 * dense.model.width + 1)
    #expect(part.applications.vjp < dense.applications.vjp)
    for (whole, part) in zip(dense.layers, part.layers) {
      #expect(whole.errorEstimate == 0 && whole.rank == dense.model.width)
      let a = try StoredLens(scratch["dense"]).matrix(from: whole.fromLayer)
      let b = try StoredLens(scratch["part"]).matrix(from: whole.fromLayer)
      let error = (a - b).frobeniusNorm
      #expect(part.rank == 4)
      #expect(part.errorEstimate < 2 * error && part.errorEstimate > error / 2)
      // The known part is exact, so its values are at most those of the full matrix.
      for (σ, most) in zip(part.singularValues, whole.singularValues) {
        #expect(σ <= most * 1.00001)
      }
      #expect(part.standardError != nil && part.noise != nil)
    }
  }

  /// Joined shards, in any order, equal the lens of the whole list, up to the order of the sums.
  @Test func shardsAreJoined() throws {
    let scratch = try ScratchFolder()
    let options = ["--rank", "3", "--oversampling", "2"]
    let whole = try Self.fit(scratch, "whole", options)
    for part in 1...2 {
      _ = try Self.fit(scratch, "part\(part)", options + ["--shard", "\(part)/2"])
    }
    let finished = try Command.run(
      ["lens", "merge", "part2", "part1", "-o", "joined"], in: scratch)
    try #require(finished.status == 0, "\(finished.error)")
    let joined = try LensRecord(folder: scratch["joined"])
    let alike = try Command.run(["merge", "part1", "part2", "-o", "alike"], in: scratch)
    #expect(alike.status == 0 && alike.output.contains("2 parts, 4 prompts"))
    #expect(
      try LensRecord(folder: scratch["alike"]).layers.map(\.singularValues)
        == joined.layers.map(\.singularValues))
    // What `fit` printed, once more.
    let shown = try Command.run(["show", "joined"], in: scratch)
    #expect(shown.status == 0 && shown.output.contains("mean over 4 prompts"))
    let report = try Command.run(["report", "joined", "-o", "report"], in: scratch)
    #expect(report.status == 64 && report.complaints.count == 1)
    #expect(report.error.contains("joined: is a run of krylens lens"))
    #expect(joined.prompts.map(\.tokenIds) == whole.prompts.map(\.tokenIds))
    for (a, b) in zip(joined.layers, whole.layers) {
      let size = b.singularValues[0]
      #expect(zip(a.singularValues, b.singularValues).allSatisfy { abs($0 - $1) < 1e-9 * size })
      #expect(abs(a.errorEstimate - b.errorEstimate) < 1e-9 * size)
      #expect(abs((a.standardError ?? 0) - (b.standardError ?? 1)) < 1e-7 * size)
    }
    for (shards, complaint) in [
      (["part1"], "only 1"), (["part1", "part1"], "part 1 of 2"),
      (["part1", "whole"], "a complete lens"),
    ] {
      let refused = try Command.run(["lens", "merge"] + shards + ["-o", "none"], in: scratch)
      #expect(refused.status != 0 && refused.error.contains(complaint), "\(refused.error)")
    }
  }

  /// The folder of the same fit is left unchanged, and that of another one is refused.
  @Test func aFolderIsOfOneFit() throws {
    let scratch = try ScratchFolder()
    _ = try Self.fit(scratch, "lens", ["--dense"])
    let before = try Data(contentsOf: URL(fileURLWithPath: scratch["lens/result.json"]))
    _ = try Self.fit(scratch, "lens", ["--dense"])
    #expect(try Data(contentsOf: URL(fileURLWithPath: scratch["lens/result.json"])) == before)
    let ids = Self.prompts.flatMap { ["--token-ids", $0.list] }
    let other = try Command.run(
      ["lens", "fit", ModelFixture("llama").folder, "-o", "lens", "--dense", "--skip", "2"] + ids,
      in: scratch)
    #expect(
      other.status == 1 && other.error.contains("--skip is 1 there and 2 here"), "\(other.error)")
  }

  /// A lens reads the same through its own file and through the one for other tools; the last layer shows the model's own
  /// prediction.
  @Test func bothFilesReadTheSame() throws {
    let scratch = try ScratchFolder()
    _ = try Self.fit(scratch, "lens", ["--dense"])
    let model = try ModelFixture("llama").folder
    func top(_ lens: String, _ layers: String) throws -> [[Int]] {
      let finished = try Command.run(
        [
          "lens", "read", model, "--lens", lens, "--token-ids", "5,3,9,7", "--top", "3", "--json",
          "--layers", layers,
        ], in: scratch)
      try #require(finished.status == 0, "\(finished.error)")
      let reading = try MadeRuns.object(finished.output)
      let places = try #require(reading["places"] as? [[String: Any]])
      #expect(places.count == 4 * layers.split(separator: ",").count)
      return places.map { ($0["top"] as? [[String: Any]] ?? []).compactMap { $0["id"] as? Int } }
    }
    let own = try top("lens", "1,2,3")
    #expect(own.allSatisfy { Set($0).count == 3 })
    #expect(try top("lens/lens.safetensors", "1,2,3") == own)
    #expect(try top("lens/lens.pt", "1,2,3") == own)
    // That file has no place for the input of the first block.
    let refused = try Command.run(
      ["lens", "read", model, "--lens", "lens/lens.pt", "--token-ids", "5", "--layers", "0"],
      in: scratch)
    #expect(refused.status == 64 && refused.error.contains("--layers 0"), "\(refused.error)")
  }

  /// A lens has distance 0 from itself, and lenses of two halves of the prompts differ by about the noise.
  @Test func lensesAreCompared() throws {
    let scratch = try ScratchFolder()
    _ = try Self.fit(scratch, "a", ["--dense"])
    _ = try Self.fit(scratch, "b", ["--dense"], prompts: [[2, 4, 6, 8, 1], [3, 1, 9]])
    func layers(_ a: String, _ b: String) throws -> [[String: Any]] {
      let finished = try Command.run(
        ["lens", "compare", a, b, "--rank", "3", "--json"], in: scratch)
      try #require(finished.status == 0, "\(finished.error)")
      return try #require(try MadeRuns.object(finished.output)["layers"] as? [[String: Any]])
    }
    for layer in try layers("a", "a") {
      #expect(layer["distance"] as? Double == 0)
      #expect(abs((layer["left"] as? Double ?? 0) - 1) < 1e-6)
      #expect(abs((layer["cosine"] as? Double ?? 0) - 1) < 1e-12)
    }
    for layer in try layers("a", "b") {
      let distance = try #require(layer["distance"] as? Double)
      #expect(distance > 0 && distance < 2)
      #expect(layer["noise"] as? Double ?? 0 > 0)
    }
    // Half precision has 11 bits, so that no entry is off by more than a share of 2⁻¹¹.
    for layer in try layers("a", "a/lens.pt") {
      #expect(layer["distance"] as? Double ?? 1 < 0x1p-11)
      #expect(layer["right"] as? Double ?? 0 > 0.99)
    }
  }

  @Test(arguments: [
    (["--skip", "3"], 64, "none of the 3 tokens of prompt 2"),
    (["--layers", "0,99"], 64, "--layers 99"), (["--rank", "0"], 64, "--rank 0"),
    (["--rank", "1000"], 64, "--rank 1000"), (["--probes", "0"], 64, "--probes 0"),
    (["--shard", "1/7"], 64, "--shard 1/7"), (["--oversampling", "-1"], 64, "--oversampling"),
  ]) func whatCannotBeFittedIsRefused(_ options: [String], _ status: Int32, _ complaint: String)
    throws
  {
    let scratch = try ScratchFolder()
    let ids = Self.prompts.flatMap { ["--token-ids", $0.list] }
    let finished = try Command.run(
      ["lens", "fit", ModelFixture("llama").folder, "-o", "lens", "--quiet"] + ids + options,
      in: scratch)
    #expect(finished.status == status && finished.error.contains(complaint), "\(finished.error)")
    #expect(!FileManager.default.fileExists(atPath: scratch["lens"]))
  }

  @Test func aLensOfAnotherModelIsRefused() throws {
    let scratch = try ScratchFolder()
    _ = try Self.fit(scratch, "lens", ["--dense"])
    for (model, lens, complaint) in [
      ("gpt2", "lens", "fit a lens on this model"), ("llama", "nowhere", "nowhere"),
      ("llama", "empty", "result.json"), ("llama", "no-lens", "no-lens"),
    ] {
      try FileManager.default.createDirectory(
        atPath: scratch["empty"], withIntermediateDirectories: true)
      try scratch.write(Array("PK no archive".utf8), to: "no-lens")
      let finished = try Command.run(
        ["lens", "read", ModelFixture(model).folder, "--lens", lens, "--token-ids", "1,2"],
        in: scratch)
      #expect(finished.status != 0 && finished.complaints.count == 1, "\(finished.error)")
      #expect(finished.error.contains(complaint), "\(finished.error)")
    }
  }
}
