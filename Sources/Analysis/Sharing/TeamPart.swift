import Foundation
import Processes

/// What one team contributed to a run, for the team that assembles the results.
struct TeamPart: Codable {
  /// The seconds of the two passes.
  var solveSeconds = 0.0
  var couplingSeconds = 0.0
  /// The seconds of both in which the work waited for weights.
  var readingSeconds = 0.0
  /// The files that it wrote.
  var written: Set<String> = []
  /// The failures of the run's prompts that it knows.
  private var lost: [Int: LostPrompt] = [:]

  /// Adds the failures in a group.
  mutating func add(_ survivors: GroupSurvivors, of group: PromptGroup) {
    for (p, failure) in survivors.lost { lost[group.prompts.lowerBound + p] = failure }
  }

  /// Hands this part to team 0, which waits for all others, adds their seconds, and returns true once all files are visible and
  /// the first failure of every prompt is the one that is kept.
  mutating func join(
    _ sharing: any WorkSharing, _ folder: RunFolder, _ journal: any RunJournal,
    pause: () throws -> Void
  ) throws -> Bool {
    let names = (0..<sharing.teams).map { "part of team \($0)" }
    try sharing.finish(names[sharing.team], note: try JSONEncoder().encode(self))
    guard sharing.team == 0 else { return false }
    let parts = try sharing.wait(for: names, pause: pause).map {
      try JSONDecoder().decode(TeamPart.self, from: $0)
    }
    for part in parts {
      for file in part.written {
        try folder.visibility.wait(for: file, in: folder.path, pause: pause) {
          folder.journal.hasFile(file) ? () : nil
        }
      }
    }
    var first: [Int: LostPrompt] = [:]
    for part in parts { first.merge(part.lost) { $1.isBefore($0) ? $1 : $0 } }
    for (p, failure) in first where try journal.failure(ofPrompt: p) != failure {
      try journal.keep(failure, ofPrompt: p)
    }
    solveSeconds = parts.reduce(0) { $0 + $1.solveSeconds }
    couplingSeconds = parts.reduce(0) { $0 + $1.couplingSeconds }
    readingSeconds = parts.reduce(0) { $0 + $1.readingSeconds }
    return true
  }
}
