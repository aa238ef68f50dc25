import Analysis
import Foundation

extension Figure {
  /// The paths of one prompt's tokens through the blocks, in the plane of their first two principal components; and the paths
  /// of the tokens after the first, in the plane of their own.
  ///
  /// The prompt is the first that has recorded coordinates; nil if there is none. Earlier versions recorded only the plane of
  /// all tokens.
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
      let (x, y) = (paths.flatMap { $0.map { $0[0] } }, paths.flatMap { $0.map { $0[1] } })
      let (across, shares) = (Axis.linear(x), picture.explainedVariance.map(percentage))
      let size = (
        width: (width.upperBound - width.lowerBound) * Double(Figure.width), height: 0.79 * 680
      )
      let names = paths.indices.map { run.tokenName($0 + first, prompt: number) }
      var ends = DataTable(
        "-ends\(suffix)", columns: ["x", "y", "token", "x of name", "y of name"], isForNames: true)
      for label in PathLabel.all(paths, names, in: size, Axis.linearEnds(x), Axis.linearEnds(y)) {
        ends.append([
          .number(label.end[0]), .number(label.end[1]), .label(label.text),
          .number(label.place?[0]), .number(label.place?[1]),
        ])
      }
      tables += [table, ends]
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
        name.'-ends\(suffix).dat' using 1:2 with points pt 7 ps 0.9 lc '#222222', \
        name.'-ends\(suffix).dat' using 4:5:3 with labels left font small
        unset colorbox
        """)
    }
    let (count, layers) = (picture.points.count, picture.points[0].count)
    return Figure(
      name: "\(run.stem)-paths", title: "Paths of the tokens",
      caption:
        "States before block 1 and after each of \(counted(layers - 1, "block")), of the \(counted(count, "token")) of "
        + "prompt \(number + 1) of \(run.label), in the plane of their first two principal components (of all "
        + "states together). Each token's line runs from a circle, before block 1, to a dot, "
        + "after the last block, which is labelled where there is room."
        + (others == nil
          ? ""
          : " Right: the tokens after the first, in the plane of their own principal components."),
      height: 680, tables: tables,
      commands: """
        set multiplot
        set cbrange [0:\(max(count - 1, 1))]
        set cbtics \(Axis.integerStep(count))
        \(count > 1 ? "set cblabel 'token'; set colorbox user origin screen 0.93, 0.13 size screen 0.012, 0.79" : "unset colorbox")
        \(panels.joined(separator: "\n"))
        unset multiplot
        """, live: .paths(run))
  }

  /// `99.6 %`
  static func percentage(_ share: Double) -> String {
    String(format: "%.1f %%", 100 * share)
  }
}

/// The label of a path, placed beside its end where it overlaps nothing.
struct PathLabel {
  let text: String
  /// Where the path ends.
  let end: [Double]
  /// The left end of the label, at half its height; nil if there is no room for it.
  let place: [Double]?

  /// The width of a character of the small font in pixels, overestimated, and the height of a line.
  private static let (letter, line) = (9.0, 17.0)

  /// The labels of all paths, placed from the last token to the first. `size` is the panel's size in pixels, `x` and `y` are
  /// the ends of its axes.
  static func all(
    _ paths: [[[Double]]], _ names: [String], in size: (width: Double, height: Double),
    _ x: (low: Double, high: Double)?, _ y: (low: Double, high: Double)?
  ) -> [PathLabel] {
    guard let x, let y else { return [] }
    let (perX, perY) = (size.width / (x.high - x.low), size.height / (y.high - y.low))
    let ends = zip(paths, names).compactMap { path, name in
      path.last.map { (text: shortened(name, limit: 14), end: $0) }
    }
    // Positions in pixels from the lower left corner.
    let points = ends.map { (x: ($0.end[0] - x.low) * perX, y: ($0.end[1] - y.low) * perY) }
    var taken = points.map { Box(x: $0.x - 5, y: $0.y - 5, width: 10, height: 10) }
    var labels: [PathLabel] = []
    for (label, point) in zip(ends, points).reversed() {
      let width = letter * Double(label.text.unicodeScalars.count) + 4
      // Candidate positions: right or left of the end, at its height, above or below.
      let places: [(Double, Double)] = [0, 14, -14].flatMap { dy in
        [(9.0, dy), (-width - 7, dy)]
      }
      let boxes = places.map { dx, dy in
        Box(x: point.x + dx, y: point.y + dy - line / 2, width: width, height: line)
      }
      let box = boxes.first { box in
        box.isWithin(size.width, size.height) && !taken.contains { $0.meets(box) }
      }
      if let box { taken.append(box) }
      labels.append(
        PathLabel(
          text: label.text, end: label.end,
          place: box.map { [x.low + $0.x / perX, y.low + ($0.y + line / 2) / perY] }))
    }
    return labels
  }

  private struct Box {
    let x, y, width, height: Double

    func isWithin(_ right: Double, _ top: Double) -> Bool {
      x > 2 && y > 2 && x + width < right - 2 && y + height < top - 2
    }

    func meets(_ other: Box) -> Bool {
      x < other.x + other.width && other.x < x + width && y < other.y + other.height
        && other.y < y + height
    }
  }
}
