import Foundation
import Processes
import TestSupport
import Testing

@testable import Analysis

/// Runs of a team that holds every Jacobian together, with threads in place of processes: the numbers are those of one process.
struct SlicedRunTests {
  private static let prompts: [PromptInput] = [[1, 5, 7, 3], [2, 5, 7]].map { .tokens($0) }

  private static func common(_ model: String) -> ModelSettings {
    ModelSettings(model: ModelFixture(model).folder, name: "m", threads: 1)
  }

  private static func processes(_ team: any Communicator) -> RunProcesses {
    RunProcesses(all: team, team: team, sharing: AloneSharing()) {
      WorkStopped("\($0)", status: 1, process: team.rank)
    }
  }

  private static func align(
    _ model: String, in path: String, as processes: RunProcesses, stopAfter limit: Int? = nil
  ) throws {
    var settings = RunSettings(model: ModelFixture(model).folder, name: "m", threads: 1)
    (settings.top, settings.ranks, settings.solver) = (4, [4], .block)
    settings.saveHiddenStates = true
    _ = try AlignmentOutcome(
      settings, prompts, into: path, processes: processes,
      progress: limit.map { StepWatch(cancelAfter: processes.isLeader ? $0 : .max) },
      meter: MemoryMeter())
  }

  /// The numbers of a table, without those of named columns.
  private static func numbers(_ path: String, without dropped: Set<String>) throws -> [Double] {
    let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
      .map { $0.split(separator: ",", omittingEmptySubsequences: false) }
    return lines.dropFirst().flatMap { line in
      zip(lines[0], line).compactMap { dropped.contains(String($0)) ? nil : Double($1) ?? 0 }
    }
  }

  /// The values of both folders agree to the tolerance of the solves, whose vectors differ in their last digits; couplings go
  /// with the vectors.
  private static func compare(_ a: String, _ b: String) throws {
    for (table, dropped, tolerance) in [
      ("singular_values.csv", ["residual_norm"], 1e-5), ("coupling.csv", [], 1e-3),
      ("trajectory.csv", [], 1e-4),
    ] as [(String, Set<String>, Double)] {
      let (x, y) = (
        try numbers("\(a)/\(table)", without: dropped),
        try numbers("\(b)/\(table)", without: dropped)
      )
      #expect(x.count == y.count && !x.isEmpty)
      let worst = zip(x, y).map { abs($0 - $1) }.max() ?? 0
      #expect(worst <= tolerance * (x.map(abs).max() ?? 0), "\(table): off by \(worst)")
    }
  }

  /// Also with fewer key-value heads than members, with experts, with halves in parallel and with norms after them.
  @Test(arguments: [("llama", 2), ("mixtral", 3), ("gptj", 2), ("olmo2", 4)])
  func alignment(model: String, members: Int) throws {
    let scratch = try ScratchFolder()
    try Self.align(model, in: scratch["one"], as: .alone)
    let path = scratch["team"]
    _ = try ThreadTeam.run(members) { try Self.align(model, in: path, as: Self.processes($0)) }
    try Self.compare(scratch["one"], path)
  }

  /// What a team has begun, another team or a single process completes.
  @Test(arguments: [1, 3]) func resumed(members: Int) throws {
    let scratch = try ScratchFolder()
    let path = scratch["run"]
    #expect(throws: RunError.self) {
      try ThreadTeam.run(2) {
        try Self.align("llama", in: path, as: Self.processes($0), stopAfter: 2)
      }
    }
    _ = try ThreadTeam.run(members) { try Self.align("llama", in: path, as: Self.processes($0)) }
    try Self.align("llama", in: scratch["one"], as: .alone)
    try Self.compare(scratch["one"], path)
  }

  @Test(arguments: [false, true]) func triplets(average: Bool) throws {
    let scratch = try ScratchFolder()
    let values = { @Sendable (path: String, processes: RunProcesses) -> [Double] in
      var settings = MapSettings(Self.common("llama"))
      (settings.solution.top, settings.map.average) = (3, average)
      let run = try MapRun(settings, prompts: Self.prompts, team: processes.team)
      let folder = try ResultFolder.open(path, for: try run.manifest(), as: processes)
      defer { folder.release() }
      let record = try run.run(in: folder, as: processes, meter: MemoryMeter())
      return record?.maps.flatMap(\.map.singularValues) ?? []
    }
    let one = try values(scratch["one"], .alone)
    let path = scratch["team"]
    let team = try ThreadTeam.run(2) { try values(path, Self.processes($0)) }
    #expect(one.count == (average ? 3 : 6) && team[1].isEmpty && team[0].count == one.count)
    for (a, b) in zip(one, team[0]) { #expect(abs(a - b) <= 1e-5 * one[0]) }
  }

  /// Refusals name the setting.
  @Test func refused() throws {
    let message = { @Sendable (model: String, solver: String) -> String in
      let errors = try ThreadTeam.run(2) { team in
        var settings = RunSettings(model: ModelFixture(model).folder, name: "m", threads: 1)
        settings.solver = solver == "arpack" ? .arpack : .auto
        let error = #expect(throws: RunError.self) {
          try AlignmentRun(settings, prompts: Self.prompts, team: team)
        }
        return error.map { "\($0.message)" } ?? ""
      }
      #expect(errors[0] == errors[1])
      return errors[0]
    }
    #expect(try message("mamba", "auto").contains("mamba model cannot be divided"))
    #expect(try message("llama", "arpack").contains("whole vectors"))
  }
}
