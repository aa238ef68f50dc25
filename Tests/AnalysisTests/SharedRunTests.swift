import Files
import Foundation
import Model
import Processes
import Synchronization
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
    stop stopped: (team: Int, after: Int) = (0, .max), _ change: @escaping Change = { _ in }
  ) throws {
    _ = try ThreadTeam.run(sharings.count) { thread in
      let sharing = sharings[thread.rank]
      do {
        let run = try run(prompts, model: model, change)
        let folder = try RunFolder(path, for: try run.manifest(), among: sharing, visibility)
        defer { folder.release() }
        let result = try run.run(
          in: folder, among: sharing,
          progress: StepWatch(cancelAfter: sharing.team == stopped.team ? stopped.after : .max),
          meter: MemoryMeter())
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

  @Test(arguments: cases) func theSameFolder(_ example: Case) throws {
    let scratch = try ScratchFolder()
    for teams in [1, 2, 3, 5] {
      try Self.share(
        example.prompts, among: ThreadSharing.sharings(teams), in: scratch["\(teams)"],
        example.change)
    }
    let alone = try Self.contents(scratch["1"])
    for teams in [2, 3, 5] { try Self.expectSame(scratch["\(teams)"], alone) }
  }

  /// Wherever it stops, any number of teams resumes.
  @Test(arguments: [(2, 3), (3, 1), (1, 2)]) func resumedByOthers(first: Int, then: Int) throws {
    let scratch = try ScratchFolder()
    let prompts = FailedPromptTests.prompts(20)
    try Self.share(prompts, among: ThreadSharing.sharings(1), in: scratch["alone"])
    let wanted = try Self.contents(scratch["alone"])
    for limit in [1, 3, 6] {
      let path = scratch["\(limit)"]
      // On a busy machine another team might finish the run before team 0 has taken so many steps: it takes two blocks.
      let claims = Mutex(0)
      let sharings = ThreadSharing.sharings(first).map { base in
        HookedSharing(base) { request in
          guard base.team > 0, case .claim = request else { return }
          guard
            claims.withLock({
              $0 += 1; return $0 > 2
            })
          else { return }
          while !base.isStopped { Thread.sleep(forTimeInterval: 0.001) }
        }
      }
      let error = #expect(throws: RunError.self) {
        try Self.share(prompts, among: sharings, in: path, stop: (team: 0, after: limit))
      }
      guard case .interrupted? = error else { throw try #require(error) }
      try Self.share(prompts, among: ThreadSharing.sharings(then), in: path)
      try Self.expectSame(path, wanted)
    }
  }

  // MARK: Prompts that fail

  @Test(arguments: FailedPromptTests.cases)
  func promptsThatFail(_ fault: FailedPromptTests.Case) throws {
    let model = try FailedPromptTests.EditedModel(
      "model.embed_tokens.weight", row: 25, fault.value)
    for teams in [1, 2, 3] {
      try Self.share(
        FailedPromptTests.prompts(20), among: ThreadSharing.sharings(teams),
        in: model.scratch["\(teams)"], model: model.folder)
    }
    let alone = try Self.contents(model.scratch["1"])
    for teams in [2, 3] { try Self.expectSame(model.scratch["\(teams)"], alone) }
  }

  /// One team solves block 2 with a prompt whose failure at block 1 another team has not found yet; it is solved again.
  @Test func failuresFoundTooLate() throws {
    // Token 25 alone reaches one hidden unit of block 1, which nothing reads. Its value, (4e18 · 2.7)², is finite, but its
    // derivative, some hundred times larger through the norm of a small state, is not.
    let model = try FailedPromptTests.EditedModel { name, row, column in
      switch name {
      case "model.embed_tokens.weight" where row == 25: column == 0 ? 0.01 : 0
      case "model.embed_tokens.weight" where column == 0: 0
      case "model.layers.0.self_attn.o_proj.weight": 0
      case "model.layers.0.mlp.down_proj.weight" where column == 0: 0
      case "model.layers.0.mlp.gate_proj.weight" where row == 0,
        "model.layers.0.mlp.up_proj.weight" where row == 0:
        column == 0 ? 4e18 : 0
      default: nil
      }
    }
    let prompts = FailedPromptTests.prompts(6)
    try Self.share(
      prompts, among: ThreadSharing.sharings(1), in: model.scratch["alone"], model: model.folder)
    let record = try StoredRun(model.scratch["alone"]).record
    #expect(record.failures.map(\.layer) == [1])
    let (isTaken, isPassed) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let rounds = Mutex(Set<String>())
    let sharings = ThreadSharing.sharings(2).map { base in
      HookedSharing(base) { request in
        guard case .claim(let unit) = request else { return }
        rounds.withLock { _ = $0.insert(unit) }
        switch (base.team, unit) {
        case (1, "group 0, block 1"): isTaken.wait()
        case (1, "group 0, block 2"): isPassed.signal()
        default: break
        }
      } after: { request in
        guard base.team == 0, request == .claim("group 0, block 1") else { return }
        // The other team has read which prompts have failed so far before it takes blocks.
        isTaken.signal()
        isPassed.wait()
      }
    }
    try Self.share(prompts, among: sharings, in: model.scratch["shared"], model: model.folder)
    try Self.expectSame(model.scratch["shared"], try Self.contents(model.scratch["alone"]))
    #expect(rounds.withLock { $0.contains("group 0, round 1, block 2") })
  }

  @Test func theFirstFailureCounts() throws {
    let group = PromptGroup.groups([[TokenSelection(0)], [TokenSelection(0)]])[0]
    let failure = { (pass: LostPrompt.Pass, layer: Int) in
      LostPrompt(pass, layer: layer, TokenSelection(0), reason: "")
    }
    // The second pass goes downwards.
    let inOrder = [failure(.solving, 2), failure(.solving, 5), failure(.coupling, 5)]
    for later in inOrder + [failure(.coupling, 1)] {
      let journal = MemoryJournal()
      var survivors = try GroupSurvivors(group, journal)
      try survivors.lose(1, later)
      for failure in inOrder.reversed() { try survivors.lose(1, failure) }
      #expect(survivors.lost == [1: inOrder[0]])
      #expect(journal.failure(ofPrompt: 1) == inOrder[0])
    }
    #expect(failure(.coupling, 5).isBefore(failure(.coupling, 1)))
  }

  // MARK: Files that appear late

  /// A file that the other team has written is away for a while, or for ever.
  @Test(arguments: [true, false]) func filesThatAppearLate(_ comesBack: Bool) throws {
    let scratch = try ScratchFolder()
    let prompts = [[5, 3, 9], [7]]
    try Self.share(prompts, among: ThreadSharing.sharings(1), in: scratch["alone"])
    let path = scratch["shared"]
    let file = "\(path)/partial/g0.l1.triplets.safetensors"
    let sharings = ThreadSharing.sharings(2).map { base in
      HookedSharing(base) { request in
        if base.team == 0, case .claim("group 0, block 1") = request {
          // The other team takes this block.
          _ = try? base.wait(for: ["group 0, block 1"])
        }
        guard base.team == 1, case .finish("group 0, block 1", _) = request else { return }
        #expect(rename(file, "\(path)/away") == 0)
        guard comesBack else { return }
        DispatchQueue.global().asyncAfter(deadline: .now() + 0.2) {
          #expect(rename("\(path)/away", file) == 0)
        }
      }
    }
    let visibility = Visibility(seconds: comesBack ? 60 : 0.1)
    let share = {
      try Self.share(prompts, among: sharings, in: path, visibility: visibility)
    }
    if comesBack {
      try share()
      try Self.expectSame(path, try Self.contents(scratch["alone"]))
    } else {
      let error = #expect(throws: RunError.self) { try share() }
      #expect(error == .notVisible(path: path, unit: "what was found at block 1"))
    }
  }

  // MARK: Failures

  @Test func aFailureStopsAllTeams() throws {
    let scratch = try ScratchFolder()
    let prompts = FailedPromptTests.prompts(20)
    let error = #expect(throws: WorkStopped.self) {
      try Self.share(
        prompts, among: ThreadSharing.sharings(3), in: scratch["run"], stop: (team: 2, after: 1))
    }
    #expect(error?.process == 2)
    #expect(error?.message.hasPrefix("interrupted") == true)
  }
}

/// A list of work with something done before and after each request.
private final class HookedSharing: WorkSharing {
  private let base: any WorkSharing
  private let before, after: @Sendable (WorkRequest) -> Void

  init(
    _ base: any WorkSharing, before: @escaping @Sendable (WorkRequest) -> Void,
    after: @escaping @Sendable (WorkRequest) -> Void = { _ in }
  ) {
    (self.base, self.before, self.after) = (base, before, after)
  }

  var team: Int { base.team }
  var teams: Int { base.teams }
  var isStopped: Bool { base.isStopped }

  func ask(_ request: WorkRequest) throws(WorkStopped) -> WorkAnswer {
    before(request)
    let answer = try base.ask(request)
    after(request)
    return answer
  }
}
