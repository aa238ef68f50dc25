import Foundation
import Processes
import TestSupport
import Testing

@testable import Analysis

/// Runs shared by several processes, with threads in their place: the folder is that of a single one to the bit.
struct SharedFolderRunTests {
  private static let prompts: [PromptInput] = [
    [1, 5, 7, 3], [2, 5, 7], [9, 8, 4, 2, 30], [25, 1, 2], [6, 6, 3], [11, 4], [3, 1, 4, 1, 5, 9],
  ].map { .tokens($0) }

  private static var common: ModelSettings {
    ModelSettings(model: ModelFixture("llama").folder, name: "m", threads: 1)
  }

  /// Runs that several processes share.
  enum Kind: String, CaseIterable, CustomTestStringConvertible {
    case triplets, average, eigen, lens, denseLens
    var testDescription: String { rawValue }
  }

  /// Runs in a folder as several processes, each with a model of its own; the progress of the leader may stop them all.
  private func run(
    _ kind: Kind, in path: String, processes: Int, stopAfter limit: Int? = nil,
    late: Duration = .zero
  ) throws {
    switch kind {
    case .triplets, .average:
      var settings = MapSettings(Self.common)
      settings.solution.top = 3
      settings.map.average = kind == .average
      let fixed = settings
      try share(in: path, processes, limit, late) { try MapRun(fixed, prompts: Self.prompts) }
    case .eigen:
      var settings = EigenSettings(Self.common)
      (settings.numeric.top, settings.numeric.layers) = (3, [2])
      let fixed = settings
      try share(in: path, processes, limit, late) { try EigenRun(fixed, prompts: Self.prompts) }
    case .lens, .denseLens:
      var settings = LensSettings(Self.common)
      (settings.fit.dense, settings.fit.rank) = (kind == .denseLens, 3)
      (settings.fit.oversampling, settings.fit.rangePrompts) = (2, 5)
      let fixed = settings
      try share(in: path, processes, limit, late) { try LensRun(fixed, prompts: Self.prompts) }
    }
  }

  private func share<Run: FolderRun & SendableMetatype>(
    in path: String, _ count: Int, _ limit: Int?, _ late: Duration,
    _ open: @escaping @Sendable () throws -> Run
  ) throws {
    let sharings = ThreadSharing.sharings(count)
    _ = try ThreadTeam.run(count) { communicator in
      let isLate = late > .zero && communicator.rank == count - 1
      let sharing: any WorkSharing =
        isLate
        ? LateSharing(base: sharings[communicator.rank], late: late) : sharings[communicator.rank]
      let processes = RunProcesses(all: communicator, team: SingleProcess(), sharing: sharing) {
        WorkStopped("\($0)", status: 1, process: communicator.rank)
      }
      do {
        let run = try open()
        let folder = try ResultFolder.open(
          path, for: try run.manifest(progress: nil), among: sharing)
        let record = try run.run(
          in: folder, as: processes,
          progress: sharing.team == 0 ? limit.map { UnitLimit($0) } : nil,
          meter: MemoryMeter())
        #expect((record != nil) == processes.isLeader)
      } catch {
        sharing.fail(processes.failure(error))
        throw error
      }
    }
  }

  /// The contents of a folder without times and memory.
  private func contents(_ folder: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      files[name] = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))
    }
    let timeless = /"(seconds|peak_\w+|total|load|solve|range|fit)" ?: ?[0-9.e+-]+/
    let record = String(decoding: try #require(files["result.json"]), as: UTF8.self)
    files["result.json"] = Data(record.replacing(timeless, with: "").utf8)
    return files
  }

  @Test(arguments: Kind.allCases) func anyNumberOfProcessesFindsTheSame(_ kind: Kind) throws {
    let scratch = try ScratchFolder()
    try run(kind, in: scratch["alone"], processes: 1)
    let wanted = try contents(scratch["alone"])
    #expect(wanted.count >= 2)
    for processes in [2, 3, 9] {
      try run(kind, in: scratch["\(processes)"], processes: processes)
      #expect(try contents(scratch["\(processes)"]) == wanted, "\(processes) processes")
    }
  }

  /// A team that learns late of what the others have finished still finds in the folder what it looks for.
  @Test(arguments: [Kind.triplets, .eigen, .lens]) func lateTeamsFindTheFolder(_ kind: Kind) throws
  {
    let scratch = try ScratchFolder()
    try run(kind, in: scratch["alone"], processes: 1)
    try run(kind, in: scratch["late"], processes: 3, late: .milliseconds(200))
    #expect(try contents(scratch["late"]) == contents(scratch["alone"]))
  }

  /// Stopped after some of the work, by any number of processes, and resumed by any other.
  @Test(arguments: Kind.allCases) func anyNumberOfProcessesResumes(_ kind: Kind) throws {
    let scratch = try ScratchFolder()
    try run(kind, in: scratch["alone"], processes: 1)
    let wanted = try contents(scratch["alone"])
    // Units are prompts, or for a lens vectors: 50 for the ranges and 13 for each prompt, or 24 for each if dense.
    let limits = kind == .lens || kind == .denseLens ? [7, 30, 60, 90] : [1, 3]
    for (place, limit) in limits.enumerated() where kind != .average {
      let path = scratch["stopped\(limit)"]
      let isFinished = { FileManager.default.fileExists(atPath: "\(path)/result.json") }
      for (processes, more) in [[(3, 0), (1, 2), (2, 0)], [(1, 0), (3, 1)]][place % 2]
      where !isFinished() {
        do {
          try run(kind, in: path, processes: processes, stopAfter: limit + more)
          // On a busy machine the others may finish before the leader looks again.
          #expect(isFinished())
        } catch is RunError {}
      }
      if !isFinished() { try run(kind, in: path, processes: [2, 1, 3, 2][place]) }
      #expect(try contents(path) == wanted, "stopped after \(limit)")
    }
  }
}

/// Work shared with a team that hears each answer late.
private final class LateSharing: WorkSharing {
  let base: ThreadSharing
  let late: Duration
  init(base: ThreadSharing, late: Duration) { (self.base, self.late) = (base, late) }
  var team: Int { base.team }
  var teams: Int { base.teams }
  var isStopped: Bool { base.isStopped }

  func ask(_ request: WorkRequest) throws(WorkStopped) -> WorkAnswer {
    let answer = try base.ask(request)
    if case .notes = request { Thread.sleep(forTimeInterval: late / .seconds(1)) }
    return answer
  }
}
