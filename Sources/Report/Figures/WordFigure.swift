/// A figure of a table of tokens, whose cells are coloured by a number.
struct WordGrid {
  /// A token and its number.
  typealias Cell = (text: String, value: Double)

  var name: String
  var title: String
  var caption: String
  /// The labels of the axes and of the colour scale.
  var axes: (row: String, column: String, value: String)
  /// The nouns for one row and one column.
  var words: (row: String, column: String)
  var rows: [String]
  var columns: [String]
  /// The cells in row-major order.
  var cells: [[Cell?]]

  /// The largest numbers of rows and columns of the picture; the page's script draws all of them.
  private static let (mostRows, mostColumns) = (40, 14)

  /// The figure; nil if no cell has a finite value.
  var figure: Figure? {
    let values = cells.joined().compactMap { $0?.value }.filter(\.isFinite)
    guard let low = values.min(), let high = values.max() else { return nil }
    // Evenly spaced rows, and the last columns.
    let (kept, first) = (
      Figure.spread(rows.count, most: Self.mostRows), max(0, columns.count - Self.mostColumns)
    )
    let shown = Array(columns.indices[first...])
    var table = DataTable(columns: ["column", "row", axes.column, axes.row, "token", axes.value])
    var names = (
      rows: DataTable("-rows", columns: ["row", "name"], isForNames: true),
      columns: DataTable("-columns", columns: ["column", "name"], isForNames: true)
    )
    // The width of a cell in pixels, and in characters of the small font.
    let pitch = 885.0 / Double(max(shown.count, 1))
    let limit = max(2, Int(pitch / 9.6))
    for (y, r) in kept.enumerated() {
      names.rows.append([.integer(y), .label(shortened(rows[r], limit: 16))])
      for (x, c) in shown.enumerated() {
        let cell = cells[r][c]
        table.append([
          .integer(x), .integer(y), .label(columns[c]), .label(rows[r]),
          .label(plainText(cell?.text ?? "", limit: limit)), .number(cell?.value),
        ])
      }
    }
    let isTurned = shown.contains { columns[$0].unicodeScalars.count > limit }
    for (x, c) in shown.enumerated() {
      names.columns.append([
        .integer(x), .label(shortened(columns[c], limit: isTurned ? 14 : limit)),
      ])
    }
    let (h, foot, lead) = (25.0 * Double(kept.count), isTurned ? 170.0 : 75.0, 16.0)
    let height = h + foot + lead
    let end = high > low ? high : low + 1
    let part = kept.count < rows.count || first > 0
    return Figure(
      name: name, title: title,
      caption: caption
        + (part
          ? " The picture shows \(kept.count) of \(rows.count) rows and the last \(shown.count) of "
            + "\(columns.count) columns; with JavaScript the page shows all." : ""),
      height: Int(height.rounded(.up)), tables: [table, names.rows, names.columns],
      commands: """
        set multiplot
        unset grid
        set xrange [-0.5:\(Double(shown.count) - 0.5)]
        set yrange [\(Double(kept.count) - 0.5):-0.5]
        set cbrange [\(low):\(end)]
        set cblabel '\(axes.value)' offset 1
        set colorbox user origin screen 0.89, \(foot / height) size screen 0.012, \(min(h, 300) / height)
        unset xtics
        unset ytics
        set object 1 rectangle from graph 0, graph 0 to graph 1, graph 1 behind \
        fillcolor rgb '\(Palette.blank)' fillstyle solid noborder
        \(Axis.panel(x: 0.135...0.875, y: foot / height...1 - lead / height))
        plot name.'.dat' using 1:2:6 with \(Figure.image(kept.count * shown.count)), \
        name.'.dat' using ($6 > \(low + 0.55 * (end - low)) ? $1 : NaN):2:5 with labels font small tc '#10161d', \
        name.'.dat' using ($6 <= \(low + 0.55 * (end - low)) ? $1 : NaN):2:5 with labels font small tc '#ffffff', \
        name.'-rows.dat' using (-0.5):1:2 with labels right offset -0.6, 0 font small, \
        name.'-columns.dat' using 1:(\(Double(kept.count) - 0.5)):2 with labels \
        \(isTurned ? "right rotate by 90 offset 0, -0.5" : "center offset 0, -0.9") font small
        unset object 1
        set xrange [0:1]
        set yrange [0:1]
        unset border
        unset colorbox
        \(Axis.panel(x: 0.135...0.875, y: 0...foot / height))
        set label 1 '\(axes.column)' at graph 0.5, first \(24 / foot) center textcolor '#444444'
        plot NaN
        unset label 1
        unset multiplot
        """, live: live(low, end))
  }

  private func live(_ low: Double, _ high: Double) -> LiveFigure {
    let all = cells.joined()
    return LiveFigure([
      [
        "type": "heat", "digits": 4,
        "x": [
          "label": .text(axes.column), "word": .text(words.column),
          "names": .texts(columns, limit: 24),
        ],
        "y": [
          "label": .text(axes.row), "word": .text(words.row), "names": .texts(rows, limit: 30),
        ],
        "colour": .range(axes.value, low, high),
        "values": .list(all.map { .scaled($0?.value, digits: 4) }),
        "texts": .texts(all.map { $0?.text ?? "" }, limit: 40),
      ]
    ])
  }
}
