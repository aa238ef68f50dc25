import Files
import Foundation
import Processes
import TestSupport
import Testing

@testable import Analysis

/// Several teams make the run folder that a single process makes.
struct SharedRunTests {
  typealias Change = @Sendable (inout RunSettings) -> Void

  private static func run(
    _ prompts: [[Int]], model: String, _ change: Change
  ) throws -> AlignmentRun {
    var settings = RunSettings(model: model, name: "m", threads: 1)
    (settings.top, settings.ranks, settings.saveHiddenStates) = (4, [4], true)
    change(&settings)
    return try AlignmentRun(settings, prompts: prompts.map { .tokens($0) })
  }

  /// Runs with these teams, each a thread with its own model; the first error is thrown after all teams have stopped.
  private static func share(
    _ prompts: [[Int]], among sharings: [any WorkSharing], in path: String,
    model: String = ModelFixture("llama").folder, visibility: Visibility = Visibility(),
    stopAfter limit: Int = .max, _ change: @escaping Change = { _ in }
  ) throws {
    _ = try ThreadTeam.run(sharings.count) { thread in
      let sharing = sharings[thread.rank]
      do {
        let run = try run(prompts, model: model, change)
        let folder = try RunFolder(path, for: try run.manifest(), among: sharing, visibility)
        defer { folder.release() }
        let result = try run.run(
          in: folder, among: sharing,
          progress: sharing.team == 0 ? StepWatch(cancelAfter: limit) : nil, meter: MemoryMeter())
        try result.map { _ = try folder.finish($0) }
      } catch {
        sharing.fail(WorkStopped("\(error)", status: 1, process: sharing.team))
        throw error
      }
    }
  }

  /// A folder's files, without what depends on the time and the machine's load.
  private static func contents(_ path: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: path) {
      var data = try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)"))
      if name == "result.json" {
        data = try JSONSerialization.data(
          withJSONObject: timeless(try JSONSerialization.jsonObject(with: data)),
          options: .sortedKeys)
      }
      files[name] = data
    }
    return files
  }

  private static func timeless(_ value: Any) -> Any {
    if let list = value as? [Any] { return list.map(timeless) }
    guard let object = value as? [String: Any] else { return value }
    return object.filter {
      !["seconds", "peak_memory_bytes", "peak_private_bytes"].contains($0.key)
    }
    .mapValues(timeless)
  }

  private static func expectSame(_ path: String, _ wanted: [String: Data]) throws {
    let found = try contents(path)
    #expect(found.keys.sorted() == wanted.keys.sorted())
    for (name, data) in wanted { #expect(found[name] == data, "\(name) differs") }
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let prompts: [[Int]]
    var change: Change = { _ in }
  }

  /// Groups of 16 and 4 prompts; one prompt; Jacobians between the tokens of a prompt; parts.
  static let cases = [
    Case(testDescription: "many prompts", prompts: FailedPromptTests.prompts(20)),
    Case(testDescription: "one prompt", prompts: [[5, 3, 9, 1]]),
    Case(testDescription: "self", prompts: [[5, 3, 9], [7, 1]]) { $0.kind = .tokens },
    Case(testDescription: "context", prompts: [[5, 3, 9], [7, 1]]) { $0.kind = .contextInput },
    Case(testDescription: "shard", prompts: FailedPromptTests.prompts(40)) {
      $0.shard = Shard(index: 2, count: 2)!
    },
    // Solves are continued in double precision, and the path's image goes through those Jacobians.
    Case(testDescription: "refined", prompts: [[5, 3, 9], [7]]) { $0.tolerance = 1e-9 },
    Case(testDescription: "double", prompts: [[5, 3, 9], [7]]) { $0.precision = .double },
    Case(testDescription: "some blocks", prompts: [[5, 3, 9], [7]]) { $0.layers = [1, 3] },
  ]

  @Test(arguments: cases, [2, 3, 5]) func theSameFolder(_ example: Case, teams: Int) throws {
    let scratch = try ScratchFolder()
    for (name, teams) in [("alone", 1), ("together", teams)] {
      try Self.share(
        example.prompts, among: ThreadSharing.sharings(teams), in: scratch[name], example.change)
    }
    try Self.expectSame(scratch["together"], try Self.contents(scratch["alone"]))
  }
}
