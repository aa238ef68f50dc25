import Foundation
import TestSupport
import Testing

@testable import Analysis

/// A run recomputed from its model: an intact one passes, an altered number is named.
struct VerificationTests {
  private let scratch: ScratchFolder

  init() throws { scratch = try ScratchFolder() }

  /// A finished run of two prompts through three blocks of width 24, in a folder.
  private func run(
    _ fixture: String = "llama", _ change: (inout RunSettings) -> Void = { _ in }
  ) throws -> String {
    var settings = RunSettings(model: ModelFixture(fixture).folder, name: "model", threads: 1)
    (settings.top, settings.ranks) = (4, [2, 4])
    change(&settings)
    let run = try AlignmentRun(settings, prompts: [.tokens([5, 3, 9]), .tokens([7, 2])])
    let folder = try RunFolder(scratch["run"], for: try run.manifest())
    try folder.finish(try run.run(in: folder, meter: MemoryMeter()))
    return scratch["run"]
  }

  private func report(
    _ folder: String, _ change: (inout RunVerification.Extent) -> Void = { _ in }
  ) throws -> VerificationReport {
    var extent = RunVerification.Extent()
    extent.sample = .max
    change(&extent)
    return try RunVerification(folder, threads: 1, extent).run()
  }

  private func changeRecord(_ folder: String, _ change: (inout RunRecord) throws -> Void) throws {
    let path = URL(fileURLWithPath: "\(folder)/result.json")
    var record = try RunRecord(json: try Data(contentsOf: path))
    try change(&record)
    try record.json().write(to: path)
  }

  /// Sites, last blocks, pairs of tokens and kinds of tables are all recomputed with the right functions, tokens and pairs.
  @Test(
    arguments: [
      { _ in },
      { $0.site = .attention },
      { $0.site = .mlp },
      { ($0.last, $0.layers) = (.normed, [1, 3]) },
      { ($0.fromToken, $0.toToken) = (.index(0), .index(1)) },
      { ($0.kind, $0.tokens) = (.tokens, .all) },
      { ($0.kind, $0.fromToken, $0.tokens) = (.contextInput, .index(0), .all) },
      { ($0.kind, $0.toToken, $0.tokens, $0.basisLayer) = (.contextOutput, .index(1), .all, 2) },
    ] as [@Sendable (inout RunSettings) -> Void])
  func soundRunsPass(_ change: @Sendable (inout RunSettings) -> Void) throws {
    let report = try report(run { change(&$0) })
    #expect(report.passed && report.failures.isEmpty, "\(report.failures)")
    #expect(report.leftOut == [])
    #expect(report.kinds.map(\.kind) == CheckKind.allCases)
    #expect(report.checks == report.kinds.reduce(0) { $0 + $1.checks })
  }

  /// A kink (ReLU), a recurrence, a mixture of experts, an encoder's output, a norm with tiny inputs.
  @Test(arguments: ["opt", "mamba", "mixtral", "falcon-alibi"])
  func otherFamiliesPass(_ fixture: String) throws {
    let report = try report(run(fixture))
    #expect(report.passed, "\(report.failures)")
  }

  /// An alteration is found, at its place.
  @Test(arguments: [CheckKind.singularValues, .residualNorms, .hiddenNorms])
  func alteredNumbersAreNamed(_ kind: CheckKind) throws {
    let folder = try run()
    try changeRecord(folder) { record in
      switch kind {
      case .singularValues: record.prompts[1].layers[1].singularValues[2] *= 1.001
      case .residualNorms: record.prompts[1].layers[1].residualNorms[2] = 0.01
      default: record.prompts[1].trajectory.norms[2][1] *= 1.001
      }
    }
    let report = try report(folder)
    #expect(!report.passed)
    let found = try #require(report.failures.first { $0.kind == kind })
    #expect(found.prompt == 2 && found.layer == 2)
    #expect(found.difference! > found.limit)
    #expect(kind == .hiddenNorms ? found.toToken == 1 : found.rank == 3)
    // A changed value also shows in its file and its residual norm; scores depend on it everywhere.
    if kind != .singularValues { #expect(report.failures.count == 1) }
  }

  @Test func alteredCouplingsAreNamed() throws {
    let folder = try run()
    let path = URL(fileURLWithPath: "\(folder)/result.json")
    var record = try #require(
      JSONSerialization.jsonObject(with: Data(contentsOf: path)) as? [String: Any])
    var prompts = try #require(record["prompts"] as? [[String: Any]])
    var tables = try #require(prompts[0]["coupling"] as? [[String: Any]])
    var matrix = try #require(tables[1]["matrix"] as? [[Double]])
    matrix[2][0] += 0.001
    tables[1]["matrix"] = matrix
    prompts[0]["coupling"] = tables
    record["prompts"] = prompts
    try JSONSerialization.data(withJSONObject: record).write(to: path)
    let report = try report(folder)
    let found = try #require(report.failures.first)
    #expect(report.failures.count == 1 && found.kind == .coupling)
    #expect(found.layer == 3 && found.reading?.hasSuffix("block 1") == true)
    #expect(try self.report(folder) { $0.prompts = [2] }.passed)
    #expect(try self.report(folder) { $0.layers = [1, 2] }.passed)
    #expect(try self.report(folder) { $0.sample = 0 }.passed)
  }

  @Test func alteredVectorsAreNamed() throws {
    let folder = try run()
    let path = URL(fileURLWithPath: "\(folder)/triplets.safetensors")
    var data = try Data(contentsOf: path)
    let length = data.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
    let header = try #require(
      JSONSerialization.jsonObject(with: data[8..<8 + length]) as? [String: Any])
    let tensor = try #require(header["p0.l2.U"] as? [String: Any])
    let start = 8 + length + (try #require(tensor["data_offsets"] as? [Int]))[0]
    // The sign of u₁'s first number.
    data[start + 3] ^= 0x80
    try data.write(to: path)
    let report = try report(folder)
    for kind in [CheckKind.residualNorms, .orthonormality] {
      let found = try #require(report.failures.first { $0.kind == kind })
      #expect(found.prompt == 1 && found.layer == 2 && found.rank == 1)
    }
    #expect(Set(report.failures.filter { $0.layer == 1 }.map(\.kind)).isSubset(of: [.coupling]))
  }

  /// Above the width of the dense check the rest is checked, and the report says what was not.
  @Test func widthLimitsTheOracle() throws {
    let report = try report(run()) { $0.denseWidth = 23 }
    #expect(report.passed && !report.kinds.contains { $0.kind == .singularValues })
    #expect(report.leftOut.count == 1 && report.leftOut[0].contains("24, is above 23"))
  }

  // MARK: Not a run, or not of this model

  @Test func otherModelsAreRefused() throws {
    let folder = try run()
    let other = ModelFixture("mistral").folder
    #expect(throws: RunError.self) { try RunVerification(folder, model: other, threads: 1) }
    do {
      _ = try RunVerification(folder, model: other, threads: 1)
    } catch {
      #expect("\(error)".contains("other weights than \(other) has now"))
      #expect("\(error)".contains("give its own model with `model_of_run`"))
    }
    try changeRecord(folder) { $0.settings.model = "/nowhere/at/all" }
    do {
      _ = try RunVerification(folder, threads: 1)
      Issue.record("a model that is not there")
    } catch {
      #expect("\(error)".contains("cannot be opened where it was"))
      #expect("\(error)".contains("give its path with `model_of_run`"))
    }
    #expect(
      try RunVerification(folder, model: ModelFixture("llama").folder, threads: 1).run().passed)
  }

  @Test func damagedAndUnfinishedRunsAreRefused() throws {
    let folder = try run()
    #expect(
      throws: RunError.badSetting(.prompts, value: "3", reason: "the run has the prompts 1 to 2")
    ) {
      try report(folder) { $0.prompts = [1, 3] }
    }
    #expect(throws: RunError.self) { try report(folder) { $0.layers = [9] } }
    let damages: [(inout RunRecord) -> Void] = [
      { $0.complete = false }, { $0.prompts[0].layers.removeFirst() },
      { $0.prompts[0].layers[0].singularValues.removeLast() },
      { $0.prompts[0].layers[0].residualNorms = [] },
      { $0.prompts[0].trajectory.norms.removeLast() }, { $0.prompts[0].layers[0].fromToken = 99 },
      { $0.prompts[0].tokenIds = [5] }, { $0.prompts[0].tokenIds = [1 << 40] },
    ]
    let sound = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/result.json"))
    for damage in damages {
      try sound.write(to: URL(fileURLWithPath: "\(folder)/result.json"))
      try changeRecord(folder) { damage(&$0) }
      #expect(throws: RunError.self) { try report(folder) }
    }
    try sound.write(to: URL(fileURLWithPath: "\(folder)/result.json"))
    try FileManager.default.removeItem(atPath: "\(folder)/triplets.safetensors")
    #expect(throws: RunError.self) { try report(folder) }
    #expect(throws: RunError.self) { try report(scratch["nothing"]) }
  }
}
