import Analysis
import Alignment

/// The common part of two runs: prompts with the same tokens, with the same Jacobians and the same entries of coupling.
///
/// A run that stopped halfway has only the lower blocks, and a mean over them is not the mean over all blocks.
struct CommonPart {
  /// The common part of the first run, prompt by prompt. A prompt given several times is here once; one that failed in either
  /// run is left out.
  private(set) var first: [PromptRecord] = []
  /// The common part of the second run, in the same order.
  private(set) var second: [PromptRecord] = []
  /// What the runs do not have in common, in words.
  private(set) var notes: [String] = []

  init(_ a: RunRecord, _ b: RunRecord) {
    var places: [[String]: Int] = [:]
    for (j, prompt) in b.prompts.enumerated() where prompt.failed == nil {
      places[prompt.read] = places[prompt.read] ?? j
    }
    for prompt in a.prompts where prompt.failed == nil {
      guard let j = places.removeValue(forKey: prompt.read) else { continue }
      first.append(prompt)
      second.append(b.prompts[j])
    }
    notes = Self.promptNotes(a, b, common: first.count)
    // Blocks of models of different depths share only their numbers.
    guard a.model.layers == b.model.layers else { return }
    let other = a.settings.last == b.settings.last ? nil : a.model.layers
    let (before, after) = (first, second)
    for p in first.indices { restrict(p, other: other) }
    blockNotes(before, after, other: other)
  }

  /// Restricts a prompt's two records to what they share; `other` is the last block if it is a different function in each run.
  private mutating func restrict(_ p: Int, other: Int?) {
    let (a, b) = (first[p], second[p])
    let jacobians = Set(a.layers.map(\.jacobian)).intersection(b.layers.map(\.jacobian))
      .filter { $0.layer != other }
    first[p].layers = a.layers.filter { jacobians.contains($0.jacobian) }
    second[p].layers = b.layers.filter { jacobians.contains($0.jacobian) }
    let tables = Dictionary(b.coupling.map { ($0.key, $0) }) { one, _ in one }
    (first[p].coupling, second[p].coupling) = ([], [])
    for s in a.coupling {
      guard let t = tables[s.key],
        other == nil || ![s.place.layer, s.place.basisLayer].contains(other)
      else { continue }
      let isBlock = s.kind == .depth
      let rows = Set(s.rows).intersection(t.rows).filter { !isBlock || $0 != other }
      let columns = Set(s.columns).intersection(t.columns).filter { !isBlock || $0 != other }
      guard !rows.isEmpty, !columns.isEmpty else { continue }
      first[p].coupling.append(s.restricted(rows: rows.contains, columns: columns.contains))
      second[p].coupling.append(t.restricted(rows: rows.contains, columns: columns.contains))
    }
  }

  private static func promptNotes(_ a: RunRecord, _ b: RunRecord, common: Int) -> [String] {
    var notes: [String] = []
    for (run, name) in [(a, "first"), (b, "second")] {
      let failed = run.prompts.count { $0.failed != nil }
      if failed > 0 {
        notes.append("\(failed) of the \(run.prompts.count) prompts of the \(name) run failed")
      }
      let repeats = run.prompts.count - Set(run.prompts.firstAlike).count
      if repeats > 0 {
        notes.append(
          "\(repeats) of the \(run.prompts.count) prompts of the \(name) run repeat another one and "
            + "are not counted again")
      }
    }
    if common == 0 {
      notes.append(
        "no prompt has the same tokens in both: each mean is over its own run's prompts, and "
          + "differences are not tested")
    } else if common < max(a.prompts.count, b.prompts.count) {
      notes.append(
        "means are over the \(common) prompt\(common == 1 ? "" : "s") that both have, of "
          + "\(a.prompts.count) and \(b.prompts.count)")
    }
    return notes
  }

  /// Notes on blocks and Jacobians that were left out; `before` and `after` are the prompts of the first and second run.
  private mutating func blockNotes(
    _ before: [PromptRecord], _ after: [PromptRecord], other: Int?
  ) {
    let blocks = { (prompts: [PromptRecord]) in Set(prompts.flatMap { $0.layers.map(\.layer) }) }
    let (a, b, common) = (blocks(before), blocks(after), blocks(first))
    if let other, a.contains(other), b.contains(other) {
      notes.append(
        "the last block, \(other), is left out: \(SettingKey.last) differs, so it is a different function in each run"
      )
    }
    if common.count < max(a.count, b.count), a != b {
      notes.append(
        "means over blocks are over the \(common.count) that both have, of \(a.count) and \(b.count)"
      )
    }
    let jacobians = { (prompts: [PromptRecord]) in
      prompts.reduce(0) { $0 + $1.layers.count { common.contains($0.layer) } }
    }
    let (m, n, both) = (jacobians(before), jacobians(after), jacobians(first))
    if both < max(m, n) {
      notes.append(
        "Jacobians that one of the runs lacks are left out: \(both) are in both, of \(m) and \(n)")
    }
  }
}

extension LayerRecord {
  /// The Jacobian of a prompt that a record belongs to.
  fileprivate struct Jacobian: Hashable {
    let layer, fromToken, toToken: Int
  }

  fileprivate var jacobian: Jacobian {
    Jacobian(layer: layer, fromToken: fromToken, toToken: toToken)
  }
}

extension CouplingMatrix {
  /// What identifies a table of a prompt, besides its rows and columns.
  fileprivate struct Key: Hashable {
    let kind: CouplingKind
    let place: CouplingPlace
    let setting: CouplingSetting
  }

  fileprivate var key: Key { Key(kind: kind, place: place, setting: setting) }
}
