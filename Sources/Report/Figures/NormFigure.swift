import Alignment
import Foundation

extension Figure {
  /// Norms of the states along depth, and their growth in each block.
  ///
  /// nil if no prompt has a state after a block.
  static func norms(_ run: ReportedRun) -> Figure? {
    let paths = run.prompts.map(\.trajectory.norms).filter { !($0.first ?? []).isEmpty }
    guard let layers = paths.map(\.count).max(), layers > 1 else { return nil }
    let groups: [TokenGroup] = [
      TokenGroup(name: "first token", color: Palette.other) { Array($0.prefix(1)) },
      TokenGroup(name: "other tokens", color: Palette.main) { Array($0.dropFirst()) },
    ].filter { group in paths.contains { !group.of($0[0]).isEmpty } }
    var norms = DataTable(
      columns: ["layer"] + groups.flatMap { [$0.name, "lowest", "highest"] })
    var growth = DataTable(
      "-growth", columns: ["block"] + groups.flatMap { [$0.name, "lowest", "highest"] })
    var (all, grown): ([Double?], [Double?]) = ([], [])
    for l in 0..<layers {
      let here = paths.filter { l < $0.count }
      var (fields, changes): ([DataTable.Field], [DataTable.Field]) = ([.integer(l)], [.integer(l)])
      for group in groups {
        let values = here.flatMap { group.of($0[l]) }.filter { $0 > 0 }
        let mean = MeanEstimate(values.map { log($0) }).map { exp($0.mean) }
        fields += [.number(mean), .number(values.min()), .number(values.max())]
        all += [values.min(), values.max()]
        guard l > 0 else { continue }
        let steps: [Double] = here.flatMap { path -> [Double] in
          let pairs = zip(group.of(path[l]), group.of(path[l - 1]))
          return pairs.filter { $0 > 0 && $1 > 0 }.map { log($0) - log($1) }
        }
        changes += [
          .number(MeanEstimate(steps)?.mean), .number(steps.min()), .number(steps.max()),
        ]
        grown += [steps.min(), steps.max()]
      }
      norms.append(fields)
      if l > 0 { growth.append(changes) }
    }
    let curves = { (suffix: String) in
      groups.indices.flatMap { g in
        let (file, column, color) = ("name.'\(suffix).dat'", 3 * g + 2, groups[g].color)
        return [
          "\(file) using 1:\(column + 1):\(column + 2) with filledcurves fillstyle transparent solid 0.18 "
            + "lc '\(color)'",
          "\(file) using 1:\(column) with linespoints pt 7 ps 0.5 lw 2 lc '\(color)' "
            + "title '\(groups[g].name)'",
        ]
      }.joined(separator: ", ")
    }
    let (coefficient, distance) = (run.path(.growth)?.mean, run.path(.expodistance)?.mean)
    return Figure(
      name: "\(run.stem)-norms", title: "Norms and growth",
      caption: "Left: ‖xˡ‖ after block l (l = 0: before the first), geometric mean and range over "
        + "tokens and \(run.scope). Right: the growth in each block, "
        + "a = ln(‖xˡ‖ / ‖xˡ⁻¹‖), mean and range; exponential growth would be a horizontal line."
        + (coefficient.map { " The last token's growth is \(short($0)) per block" } ?? "")
        + (coefficient != nil ? distance.map { ", its expodistance \(short($0))." } ?? "." : ""),
      height: 540, tables: [norms, growth],
      commands: """
        set multiplot
        set xtics \(Axis.integerStep(layers))
        set xrange \(Axis.range([0, Double(layers - 1)]))
        set logscale y
        set yrange \(Axis.range(all, isLogarithmic: true))
        set ytics \(Axis.logarithmicTics(all))
        set xlabel 'layer l'
        set ylabel 'norm ‖xˡ‖'
        set key at graph 0.5, graph 1.02 center bottom horizontal
        \(Axis.panel(x: 0.095...0.48, y: 0.15...0.91))
        plot \(curves(""))
        unset logscale y
        set ytics auto
        set xlabel 'block l'
        set ylabel 'growth a of a block' offset 1
        set yrange \(Axis.range(grown + [0]))
        set arrow 1 from graph 0, first 0 to graph 1, first 0 nohead lc '#777777' dt 3
        \(Axis.panel(x: 0.575...0.98, y: 0.15...0.91))
        plot \(curves("-growth"))
        unset multiplot
        """, live: .norms(run, groups.map(\.name), norms, growth))
  }
}

/// A group of a prompt's tokens that is drawn in one colour.
private struct TokenGroup {
  let name: String
  let color: String
  let of: ([Double]) -> [Double]
}
