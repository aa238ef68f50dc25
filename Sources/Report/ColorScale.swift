import Alignment

/// The colour scale of the coupling heat maps, shared by all runs with the same kind and reading of coupling, so that a
/// model and its copy with random weights can be compared by eye.
struct ColorScale {
  let lowest: Double
  let highest: Double
  /// The number of runs that share the scale.
  let runs: Int

  /// The scale of each run, in the order of `runs`.
  static func all(_ runs: [ReportedRun]) -> [ColorScale] {
    let groups = Dictionary(grouping: runs.indices) { Key(runs[$0]) }.mapValues { members in
      let telling = members.map { runs[$0].heatMaps.flatMap(\.telling) }.filter { !$0.isEmpty }
      let (low, high) = (telling.joined().min() ?? 0, telling.joined().max() ?? 1)
      return ColorScale(
        lowest: low, highest: high > low ? high : low + 1e-6, runs: telling.count)
    }
    return runs.map { groups[Key($0)]! }
  }

  /// The gnuplot command that sets the scale.
  var command: String { "set cbrange [\(lowest):\(highest)]" }

  /// A sentence for the caption; empty unless several runs share the scale.
  var inWords: String {
    runs > 1 ? "Colours mean the same in all \(runs) runs that read coupling like this one. " : ""
  }

  /// The settings that must agree for numbers to be comparable. The rank may differ: it is part of the comparison.
  private struct Key: Hashable {
    let kind: CouplingKind
    var setting: CouplingSetting

    init(_ run: ReportedRun) {
      (kind, setting) = (run.kind, run.setting)
      setting.rank = 0
    }
  }
}

extension ReportedRun {
  /// The tables that are drawn as heat maps.
  var heatMaps: [MeanTable] {
    kind == .depth ? depthTable.map { [$0] } ?? [] : tokenTables?.drawn.map(\.mean) ?? []
  }
}
