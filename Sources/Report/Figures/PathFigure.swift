import Analysis
import Foundation

extension Figure {
  /// The paths of one prompt's tokens through the blocks, in the plane of their two main directions.
  ///
  /// Of the first prompt that has a picture; nil when none has.
  static func paths(_ run: ReportedRun) -> Figure? {
    let prompts = run.record.prompts
    guard
      let number = prompts.firstIndex(where: { !($0.trajectory.picture?.points ?? []).isEmpty }),
      let picture = prompts[number].trajectory.picture
    else { return nil }
    let paths = picture.points
    var table = DataTable(columns: ["x", "y", "layer", "token"])
    for (t, path) in paths.enumerated() {
      for (l, point) in path.enumerated() {
        table.append([.number(point[0]), .number(point[1]), .integer(l), .integer(t)])
      }
      table.endLine()
    }
    // The first token, often far from all others, would leave them no room.
    let others = Array(paths.dropFirst())
    let isFar = others.count > 1 && extent(paths) > 3 * extent(others)
    let parts = isFar ? [paths, others] : [paths]
    let widths = isFar ? [0.085...0.44, 0.535...0.905] : [0.085...0.905]
    var tables = [table]
    var panels: [String] = []
    for (part, width) in zip(parts, widths) {
      let suffix = part.count == paths.count ? "-ends" : "-ends-others"
      var ends = DataTable(suffix, columns: ["x", "y", "token"])
      for (t, end) in labelled(part, firstToken: paths.count - part.count) {
        ends.append([.number(end[0]), .number(end[1]), .label("\(t)")])
      }
      tables.append(ends)
      let (x, y) = (part.flatMap { $0.map { $0[0] } }, part.flatMap { $0.map { $0[1] } })
      panels.append(
        """
        set xrange \(Axis.range(x))
        set yrange \(Axis.range(y))
        set ylabel 'second direction' offset 1
        \(Axis.panel(x: width, y: 0.13...0.92))
        set title '\(part.count == paths.count ? "all tokens" : "without the first token")' offset 0, -0.5
        plot name.'.dat' using 1:2:4 with linespoints pt 7 ps 0.35 lw 1.5 lc palette, \
        name.'.dat' using ($3 == 0 ? $1 : NaN):2:4 with points pt 6 ps 1 lw 1.5 lc palette, \
        name.'\(suffix).dat' using 1:2:3 with labels point pt 7 ps 0.9 lc '#222222' left offset 0.7, 0.2
        unset colorbox
        """)
    }
    let shares = picture.explainedVariance.map { "\(String(format: "%.1f", 100 * $0)) %" }
    let last = paths.count - 1
    return Figure(
      name: "\(run.stem)-paths", title: "Paths of the tokens",
      caption:
        "States before block 1 and after each of \(paths[0].count - 1) blocks, of the \(paths.count) tokens of prompt "
        + "\(number + 1) of \(run.label), in the plane of their two main directions (PCA of all "
        + "states together), which hold \(shares[0]) and \(shares[1]) of the variance. One line a "
        + "token, from its circle, before block 1, to its number, behind the last block."
        + (isFar ? " Right: the same plane without the first token." : ""),
      height: 680, tables: tables,
      commands: """
        set multiplot
        set xlabel 'first direction'
        set cbrange [0:\(max(last, 1))]
        set cbtics \(Axis.integerStep(last + 1))
        set cblabel 'token'
        \(last > 0 ? "set colorbox user origin screen 0.93, 0.13 size screen 0.012, 0.79" : "unset colorbox")
        \(panels.joined(separator: "\n"))
        unset multiplot
        """)
  }

  /// The longer side of the box around some paths.
  private static func extent(_ paths: [[[Double]]]) -> Double {
    (0..<2).map { c in
      let values = paths.flatMap { $0.map { $0[c] } }
      return (values.max() ?? 0) - (values.min() ?? 0)
    }.max() ?? 0
  }

  /// The ends whose labels do not fall on one another, the last token's first.
  private static func labelled(
    _ paths: [[[Double]]], firstToken: Int
  ) -> [(token: Int, end: [Double])] {
    let ends = paths.enumerated().compactMap { t, path in path.last.map { (t + firstToken, $0) } }
    let size = (0..<2).map { c in
      let values = paths.flatMap { $0.map { $0[c] } }
      return max((values.max() ?? 0) - (values.min() ?? 0), .leastNormalMagnitude)
    }
    var kept: [(token: Int, end: [Double])] = []
    for (t, end) in ends.reversed() {
      let isFree = kept.allSatisfy {
        abs($0.end[0] - end[0]) > 0.05 * size[0] || abs($0.end[1] - end[1]) > 0.04 * size[1]
      }
      if isFree { kept.append((t, end)) }
    }
    return kept
  }
}
