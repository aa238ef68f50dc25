import Alignment
import Analysis

extension Figure {
  /// Singular values of a run's maps, and beside them their residual norms.
  static func mapSpectrum(_ run: ReportedMaps) -> Figure {
    let maps = run.maps
    var values = DataTable(columns: ["map", "k", "singular value", "residual / s1"])
    var (shown, residuals, rank): ([Double?], [Double?], Int) = ([], [], 1)
    for (m, map) in maps.enumerated() {
      let largest = map.map.singularValues.first ?? 0
      for (k, pair) in zip(map.map.singularValues, map.map.residualNorms).enumerated() {
        // The axes are logarithmic.
        let value = pair.0 > 0 ? pair.0 : nil
        let residual = pair.1 > 0 && largest > 0 ? pair.1 / largest : nil
        values.append([.integer(m), .integer(k + 1), .number(value), .number(residual)])
        shown.append(value)
        residuals.append(residual)
      }
      values.endLine()
      rank = max(rank, map.map.singularValues.count)
    }
    let tolerance = run.record.head.settings.tolerance
    let style = rank > 30 ? "lines" : "linespoints pt 7 ps 0.5"
    let color = maps.count > 1 ? "lc palette" : "lc '\(Palette.main)'"
    let panel = { (column: Int, shown: [Double?], label: String, x: ClosedRange<Double>) in
      """
      set yrange \(Axis.range(shown, isLogarithmic: true))
      set ytics \(Axis.logarithmicTics(shown))
      set ylabel '\(label)' offset 1
      \(Axis.panel(x: x, y: 0.18...0.95))
      plot name.'.dat' using 2:\(column):1 with \(style) lw 1.5 \(color)
      """
    }
    return Figure(
      name: "\(run.stem)-spectrum", title: "Singular values and residual norms",
      caption: "Left: the leading \(rank) singular values of \(run.mapsInWords)"
        + (maps.count > 1 ? ", dark for the first prompt to light for the last" : "")
        + ". Right: the measured residual norms max(‖Av − σu‖, ‖Aᵀu − σv‖) divided by σ₁; the tolerance was \(tolerance).",
      height: 480, tables: [values],
      commands: """
        set multiplot
        set logscale y
        unset colorbox
        set cbrange [0:\(max(1, maps.count - 1))]
        set xrange [\(1 - 0.03 * Double(rank)):\(1.03 * Double(rank))]
        set xtics \(Axis.integerStep(rank))
        set xlabel 'k'
        \(panel(3, shown, "singular value σₖ", 0.085...0.49))
        \(panel(4, residuals + [tolerance], "residual norm / σ₁", 0.595...0.98))
        unset multiplot
        """, live: .mapSpectrum(run))
  }

  /// Norms of the singular vectors' parts at each token; nil for maps from one token to one token.
  static func mapTokens(_ run: ReportedMaps, _ m: Int) -> Figure? {
    let (prompt, map) = run.maps[m]
    guard let norms = map.tokenNorms else { return nil }
    let tokens = prompt.flatMap { run.record.prompts[$0].entry.tokens }
    let sides = [
      (norms.left, map.reduce == .none ? map.toTokens : nil, "u: output token"),
      (norms.right, map.tied ? nil : map.fromTokens, "v: input token"),
    ].filter { !$0.0.isEmpty && $0.0[0].count > 1 }
    guard !sides.isEmpty else { return nil }
    let (rows, most) = (norms.left.count, sides.map { $0.0[0].count }.max() ?? 1)
    let side = min(700, max(180, 16 * rows))
    let (foot, height) = (tokens == nil ? 84.0 : 172.0, Double(side) + (tokens == nil ? 108 : 196))
    var (tables, panels, live): ([DataTable], [String], [PageJSON]) = ([], [], [])
    for (s, side) in sides.enumerated() {
      let (values, places, name) = side
      let suffix = s == 0 ? "" : "-\(s + 1)"
      let names =
        places.flatMap { $0.count == values[0].count ? $0 : nil } ?? Array(values[0].indices)
      var table = DataTable(suffix, columns: ["column", "row", "token", "text", "k", "norm"])
      for (k, row) in values.enumerated() {
        for (t, value) in row.enumerated() {
          let text = tokens.flatMap { names[t] >= 0 && names[t] < $0.count ? $0[names[t]] : nil }
          table.append([
            .integer(t), .integer(k), .integer(names[t]), .label(text ?? ""), .integer(k + 1),
            .number(value),
          ])
        }
      }
      tables.append(table)
      let labels = names.map { tokenLabel($0, tokens) }
      let words = tokens.map { _ in
        AxisNames("-names\(suffix)", labels, side: .bottom, most: 40 / sides.count)
      }
      if let words { tables.append(words.table) }
      live.append(
        [
          "type": "heat", "digits": 4, "isFlat": true,
          "x": ["label": .text(name), "word": "token", "names": .texts(labels, limit: 30)],
          "y": [
            "label": "triplet k", "word": .text(name.hasPrefix("u") ? "u" : "v"),
            "names": .names(Array(1...max(rows, 1))),
          ],
          "colour": .range("norm", 0, 1),
          "values": .list(values.joined().map { .scaled($0, digits: 4) }),
        ])
      let width = 0.82 / Double(sides.count)
      let left = 0.075 + Double(s) * (width + 0.02)
      panels.append(
        """
        set xrange [-0.5:\(Double(values[0].count) - 0.5)]
        set xtics \(words == nil ? Axis.tics(names, most: 24 / sides.count) : "format ''")
        set xlabel '\(name)' offset 0, \(words == nil ? 0 : -4.4)
        \(s == 0 ? "set ylabel 'triplet k' offset 1" : "unset ylabel; set format y ''")
        \(Axis.panel(x: left...(left + width - 0.02), y: foot / height...1 - 24 / height))
        plot name.'\(suffix).dat' using 1:2:6 with \(image(values.count * most * sides.count))\
        \(words.map { ", " + $0.command(start: Double(rows) - 0.5) } ?? "")
        unset colorbox
        """)
    }
    return Figure(
      name: "\(run.stem)-tokens-\(m + 1)", title: "Singular vectors by token",
      caption: "The norm of the part of each singular vector of \(run.mapInWords(m)) "
        + "that belongs to a token; a whole vector has norm 1.",
      height: Int(height), tables: tables,
      commands: """
        set multiplot
        unset grid
        set yrange [\(Double(rows) - 0.5):-0.5]
        set ytics \(Axis.tics(Array(1...max(rows, 1)), most: 12))
        set cbrange [0:1]
        set cblabel 'norm'
        set colorbox user origin screen 0.91, \(foot / height) size screen 0.012, \(Double(side) / height)
        \(panels.joined(separator: "\n"))
        unset multiplot
        """, live: LiveFigure(live))
  }
}
