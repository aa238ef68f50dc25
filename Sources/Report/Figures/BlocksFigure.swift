extension Figure {
  /// The magnitudes of A(i|j) = Uⱼᵀ Jᵢ Vⱼ for neighbouring blocks, divided by σ₁(i). `largest` is the upper end of the colour
  /// scale that all runs share.
  static func blocks(_ run: ReportedRun, _ found: BlockPanels, largest: Double) -> Figure {
    // Panels are squares of side 1, each with its name above it.
    let (acrossPitch, downPitch) = (1.07, 1.23)
    let side = Double(found.shown)
    var table = DataTable(columns: ["x", "y", "entry b", "entry a", "|A| / σ₁"])
    var names = DataTable("-names", columns: ["x", "y", "pair"], isForNames: true)
    for (p, panel) in found.panels.enumerated() {
      if p > 0 { table.endPart() }
      let (x, y) = (acrossPitch * Double(panel.column), downPitch * Double(panel.row))
      names.append([
        .number(x + 0.5), .number(y - 0.1), .label("A(\(panel.block)|\(panel.basis))"),
      ])
      for (a, row) in panel.entries.enumerated() {
        for (b, value) in row.enumerated() {
          table.append([
            .number(x + (Double(b) + 0.5) / side), .number(y + (Double(a) + 0.5) / side),
            .integer(b + 1), .integer(a + 1), .number(value),
          ])
        }
      }
    }
    let (across, down) = (
      acrossPitch * Double(found.columns - 1) + 1, downPitch * Double(found.rows)
    )
    // Panels are as large as fits.
    let (left, margin, most) = (30.0, 14.0, 1020.0)
    let unit = min(most / across, 300)
    let (w, h) = (Double(width), (2 * margin + unit * down).rounded(.up))
    let (x, y) = (left / w...(left + unit * across) / w, margin / h...1 - margin / h)
    // gnuplot's `image` needs at least 2 × 2 entries.
    let squares =
      found.shown > 1
      ? "using 1:2:5 with image" : "using 1:2:(0.5):(0.5):5 with boxxyerror lc palette"
    let isEverything = found.blocks <= found.columns
    return Figure(
      name: "\(run.stem)-blocks", title: "Jacobians in each other's bases",
      caption:
        "|A(i|j)| / σ₁(i) with A(i|j) = Uⱼᵀ Jᵢ Vⱼ: the Jacobian of block i in the singular basis of block j, divided by its own "
        + "largest singular value; the leading \(found.shown) × \(found.shown) entries of K = \(found.rank), for "
        + (isEverything
          ? "all blocks; "
          : "\(found.rows) of \(found.blocks) blocks i and the blocks j nearest to each; ")
        + "prompt \(found.prompt + 1) of \(run.label), last block \(run.record.settings.last.rawValue), "
        + "site \(run.record.settings.site.rawValue). A bright diagonal for i ≠ j means that the singular vectors of block j "
        + "diagonalise the Jacobian of block i; for i = j it is there by definition. All panels and runs share one colour scale; "
        + "values above its end, \(short(largest)), have the colour of the end.",
      height: Int(h), tables: [table, names],
      commands: """
        unset grid
        unset tics
        unset border
        set xrange [0:\(across)]
        set yrange [\(downPitch * Double(found.rows - 1) + 1):\(1 - downPitch)]
        set cbrange [0:\(largest)]
        set cbtics out scale 0.6 \(Axis.linear([0, largest]).step)
        set cblabel '|A(i|j)| / σ₁(i)' offset 1
        set colorbox user origin screen \((left + unit * across + 18) / w), \(y.lowerBound) \
        size screen 0.014, \((unit * (down + 1 - downPitch)) / h)
        \(Axis.panel(x: x, y: y))
        plot for [i=0:\(found.panels.count - 1)] name.'.dat' index i \(squares), \
        name.'-names.dat' using 1:2:3 with labels font small
        """, live: .blocks(found, largest: largest))
  }

  /// At most `most` of the indices 0 ..< `count`, evenly spaced, including the first and the last.
  static func spread(_ count: Int, most: Int) -> [Int] {
    guard count > most else { return Array(0..<count) }
    return (0..<most).map { ($0 * (count - 1) + (most - 1) / 2) / (most - 1) }
  }
}
