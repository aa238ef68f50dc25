import Alignment
import Checkpoint
import LinearAlgebra
import Model

/// Makes a run's results of what its journal holds: the same from a run just ended, a resumed one, and one read again.
struct RunAssembly {
  let manifest: RunManifest
  let journal: any RunJournal

  /// Numbers of a prompt's A(i|j) that are written at most: 64 MB.
  private static let mostCouplings = 1 << 24

  /// The results of a group's prompts, as far as they are known; none if nothing is.
  func results(_ group: PromptGroup) throws -> (prompts: [PromptResult], isComplete: Bool) {
    let paths = try journal.paths(ofGroup: group)
    var finished: [Int] = []
    var solved: [SolvedBlock] = []
    var couplings: [[JacobianCouplings]] = []
    for (i, layer) in manifest.layers.enumerated() {
      guard let block = try journal.solved(group, layer: layer) else { continue }
      finished.append(i)
      solved.append(block)
      if let found = try journal.couplings(group, layer: layer) { couplings.append(found) }
    }
    guard !finished.isEmpty else { return ([], false) }
    let hasAll = couplings.count == manifest.layers.count
    let prompts = group.prompts.enumerated().map { p, index in
      let problems = group.problems(ofPrompt: p)
      return PromptResult(
        manifest, manifest.prompts[index], path: paths?[p], finished: finished,
        solved: solved.map { (Array($0.triplets[problems]), $0.seconds) },
        couplings: hasAll ? couplings.map { Array($0[problems]) } : nil)
    }
    return (prompts, hasAll && paths != nil)
  }

  /// The record of what is known of the run. `seconds` and memory are the caller's to say.
  func result(
    seconds: RunRecord.Seconds, peakMemoryBytes: Int, peakPrivateBytes: Int
  ) throws -> RunResult {
    var prompts: [PromptResult] = []
    var isComplete = true
    for group in manifest.groups {
      let part = try results(group)
      prompts += part.prompts
      isComplete = isComplete && part.isComplete
    }
    let records = prompts.map(\.record)
    let record = RunRecord(
      krylens: manifest.krylens, complete: isComplete, model: manifest.model,
      settings: manifest.settings, promptList: manifest.promptList, prompts: records,
      statistics: StudyStatistics(records, diagonal: manifest.settings.diagonal), seconds: seconds,
      peakMemoryBytes: peakMemoryBytes, peakPrivateBytes: peakPrivateBytes)
    return RunResult(record: record, prompts: prompts)
  }

  // MARK: Arrays

  /// `p0.l1.U`, `p0.l1.V` (k, d) and `p0.l1.S` (k), rows are vectors; with several tokens a prompt `p0.l1.t3.U`, or
  /// `p0.l1.f3.t9.U` from one token to another. Precondition: the run is complete.
  func writeTriplets(to path: String) throws {
    var entries: [SafetensorsWriter.Entry] = []
    try forEachTriplets { name, t in
      let (u, v) = (t.leftVectors, t.rightVectors)
      entries.append(.init(name: name + "U", shape: [u.rows, u.columns]))
      entries.append(.init(name: name + "V", shape: [v.rows, v.columns]))
      entries.append(.init(name: name + "S", shape: [t.singularValues.count]))
    }
    let writer = try SafetensorsWriter(path, entries: entries)
    try forEachTriplets { _, t in
      for part in [t.leftVectors.elements, t.rightVectors.elements, t.singularValues] {
        try writer.append(part.map { Float($0) })
      }
    }
    try writer.finish()
  }

  private func forEachTriplets(_ body: (String, SingularTriplets) throws -> Void) throws {
    for group in manifest.groups {
      let blocks = try manifest.layers.compactMap { try journal.solved(group, layer: $0) }
      for (p, index) in group.prompts.enumerated() {
        for (layer, block) in zip(manifest.layers, blocks) {
          for problem in group.problems(ofPrompt: p) {
            let tokens = group.problems[problem].tokens
            let suffix =
              !variesTokens
              ? "" : tokens.isSingle ? "t\(tokens.target)." : "f\(tokens.source).t\(tokens.target)."
            try body("p\(index).l\(layer).\(suffix)", block.triplets[problem])
          }
        }
      }
    }
  }

  /// `p0.A` (L, L, K, K): A(i|j) = Uⱼᵀ Jᵢ Vⱼ of kind depth at the largest rank; with several tokens `p0.t3.A`, and of the
  /// kinds that compare tokens `p0.l1.A` (n, n, K, K). Left out for prompts where that is more than 64 MB; false if
  /// nothing is left. Precondition: the run is complete.
  func writeCouplings(to path: String) throws -> Bool {
    var entries: [SafetensorsWriter.Entry] = []
    try forEachCoupling { name, sides, rank, _ in
      entries.append(.init(name: name, shape: [sides, sides, rank, rank]))
    }
    guard !entries.isEmpty else { return false }
    let writer = try SafetensorsWriter(path, entries: entries)
    try forEachCoupling { _, _, _, numbers in try writer.append(numbers.map { Float($0) }) }
    try writer.finish()
    return true
  }

  private func forEachCoupling(
    _ body: (_ name: String, _ side: Int, _ rank: Int, _ numbers: [Double]) throws -> Void
  ) throws {
    for group in manifest.groups {
      let blocks = try manifest.layers.compactMap { try journal.couplings(group, layer: $0) }
      let solved = try manifest.layers.compactMap { try journal.solved(group, layer: $0) }
      for (p, index) in group.prompts.enumerated() {
        let problems = group.problems(ofPrompt: p)
        let tables = CouplingTables(
          manifest, manifest.prompts[index].selections,
          triplets: solved.map { Array($0.triplets[problems]) },
          couplings: blocks.map { Array($0[problems]) }
        ).blocks
        guard tables.reduce(0, { $0 + $1.numbers.count }) <= Self.mostCouplings else { continue }
        for table in tables {
          var name = "p\(index)."
          if let layer = table.place.layer {
            name += "l\(layer)."
          } else if variesTokens {
            name += "t\(table.place.toToken ?? 0)."
          }
          try body(name + "A", table.side, table.rank, table.numbers)
        }
      }
    }
  }

  /// `p0.x0` … `p0.xL` (tokens, width). Precondition: the run is complete and has kept them.
  func writeHiddenStates(to path: String) throws {
    var entries: [SafetensorsWriter.Entry] = []
    for group in manifest.groups {
      for (p, states) in zip(group.prompts, try journal.hiddenStates(group) ?? []) {
        entries += states.enumerated().map {
          .init(name: "p\(p).x\($0)", shape: [$1.rows, $1.columns])
        }
      }
    }
    let writer = try SafetensorsWriter(path, entries: entries)
    for group in manifest.groups {
      for x in try (journal.hiddenStates(group) ?? []).joined() { try writer.append(x.elements) }
    }
    try writer.finish()
  }

  /// Whether prompts have several Jacobians a block, or may have.
  private var variesTokens: Bool {
    manifest.settings.kind != .depth || manifest.settings.tokens != .last
  }
}

/// What a run leaves: the record, and what is shown of every prompt.
public struct RunResult: Sendable {
  /// For `result.json`.
  public let record: RunRecord
  /// One a prompt.
  public let prompts: [PromptResult]
}
