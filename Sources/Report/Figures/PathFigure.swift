import Analysis
import Foundation

extension Figure {
  /// The paths of one prompt's tokens through the blocks, in the plane of their two main directions; and those of the tokens
  /// after the first, in theirs.
  ///
  /// Of the first prompt that has a picture; nil when none has. Earlier versions recorded only the picture of all tokens.
  static func paths(_ run: ReportedRun) -> Figure? {
    let prompts = run.record.prompts
    guard
      let number = prompts.firstIndex(where: { !($0.trajectory.picture?.points ?? []).isEmpty }),
      let picture = prompts[number].trajectory.picture
    else { return nil }
    let others = prompts[number].trajectory.pictureWithoutFirst
    let parts =
      [(picture, "", "all tokens", 0)]
      + (others.map { [($0, "-others", "without the first token", 1)] } ?? [])
    let widths = others == nil ? [0.085...0.905] : [0.085...0.44, 0.535...0.905]
    var tables: [DataTable] = []
    var panels: [String] = []
    for ((picture, suffix, title, first), width) in zip(parts, widths) {
      let paths = picture.points
      var table = DataTable(suffix, columns: ["x", "y", "layer", "token"])
      for (t, path) in paths.enumerated() {
        for (l, point) in path.enumerated() {
          table.append([.number(point[0]), .number(point[1]), .integer(l), .integer(t + first)])
        }
        table.endLine()
      }
      var ends = DataTable("-ends\(suffix)", columns: ["x", "y", "token"])
      for (t, end) in labelled(paths) {
        ends.append([.number(end[0]), .number(end[1]), .label("\(t + first)")])
      }
      tables += [table, ends]
      let (x, y) = (paths.flatMap { $0.map { $0[0] } }, paths.flatMap { $0.map { $0[1] } })
      let (across, shares) = (Axis.linear(x), picture.explainedVariance.map(percentage))
      panels.append(
        """
        set xrange \(across.range)
        set xtics \(across.step)
        set yrange \(Axis.range(y))
        set xlabel 'first direction, \(shares[0]) of the variance'
        set ylabel 'second direction, \(shares[1])' offset 1
        \(Axis.panel(x: width, y: 0.13...0.92))
        set title '\(title)' offset 0, -0.5
        plot name.'\(suffix).dat' using 1:2:4 with linespoints pt 7 ps 0.35 lw 1.5 lc palette, \
        name.'\(suffix).dat' using ($3 == 0 ? $1 : NaN):2:4 with points pt 6 ps 1 lw 1.5 lc palette, \
        name.'-ends\(suffix).dat' using 1:2:3 with labels point pt 7 ps 0.9 lc '#222222' left offset 0.7, 0.2
        unset colorbox
        """)
    }
    let (count, layers) = (picture.points.count, picture.points[0].count)
    return Figure(
      name: "\(run.stem)-paths", title: "Paths of the tokens",
      caption:
        "States before block 1 and after each of \(counted(layers - 1, "block")), of the \(counted(count, "token")) of "
        + "prompt \(number + 1) of \(run.label), in the plane of their two main directions (PCA of all "
        + "states together). One line per token, from its circle, before block 1, to its number, after the last block."
        + (others == nil
          ? "" : " Right: the tokens after the first, in the plane of their own PCA."),
      height: 680, tables: tables,
      commands: """
        set multiplot
        set cbrange [0:\(max(count - 1, 1))]
        set cbtics \(Axis.integerStep(count))
        \(count > 1 ? "set cblabel 'token'; set colorbox user origin screen 0.93, 0.13 size screen 0.012, 0.79" : "unset colorbox")
        \(panels.joined(separator: "\n"))
        unset multiplot
        """)
  }

  /// `99.6 %`
  private static func percentage(_ share: Double) -> String {
    String(format: "%.1f %%", 100 * share)
  }

  /// The ends whose labels do not fall on one another, the last token's first.
  private static func labelled(_ paths: [[[Double]]]) -> [(path: Int, end: [Double])] {
    let ends = paths.enumerated().compactMap { t, path in path.last.map { (t, $0) } }
    let size = (0..<2).map { c in
      let values = paths.flatMap { $0.map { $0[c] } }
      return max((values.max() ?? 0) - (values.min() ?? 0), .leastNormalMagnitude)
    }
    var kept: [(path: Int, end: [Double])] = []
    for (t, end) in ends.reversed() {
      let isFree = kept.allSatisfy {
        abs($0.end[0] - end[0]) > 0.05 * size[0] || abs($0.end[1] - end[1]) > 0.04 * size[1]
      }
      if isFree { kept.append((t, end)) }
    }
    return kept
  }
}
