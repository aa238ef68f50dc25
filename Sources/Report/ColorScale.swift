import Alignment

/// The colours of the heat maps of coupling: one scale for all runs that read coupling alike, so that a model and its twin
/// of random weights can be compared by eye.
struct ColorScale {
  let lowest: Double
  let highest: Double
  /// Runs that share it.
  let runs: Int

  /// The scale of every run, in their order.
  static func all(_ runs: [ReportedRun]) -> [ColorScale] {
    let groups = Dictionary(grouping: runs.indices) { Key(runs[$0]) }.mapValues { members in
      let telling = members.map { runs[$0].heatMaps.flatMap(\.telling) }.filter { !$0.isEmpty }
      let (low, high) = (telling.joined().min() ?? 0, telling.joined().max() ?? 1)
      return ColorScale(
        lowest: low, highest: high > low ? high : low + 1e-6, runs: telling.count)
    }
    return runs.map { groups[Key($0)]! }
  }

  /// For gnuplot.
  var command: String { "set cbrange [\(lowest):\(highest)]" }

  /// For a caption; nothing of a run alone.
  var inWords: String {
    runs > 1 ? "Colours mean the same in all \(runs) runs that read coupling like this one. " : ""
  }

  /// What numbers must have in common to be compared. The rank may differ: it is part of the comparison.
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
