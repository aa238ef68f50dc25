extension Figure {
  /// Coupling of every pair of blocks, and beside it the mean and the null level of each block.
  ///
  /// nil unless the run couples at least two blocks across depth.
  static func depth(_ run: ReportedRun, _ colors: ColorScale) -> Figure? {
    guard let mean = run.depthTable else { return nil }
    var rows = DataTable("-rows", columns: ["row", "block", "mean", "standard error", "null"])
    for (i, block) in mean.rows.enumerated() {
      let estimate = mean.rowMeans[i]
      rows.append([
        .integer(i), .integer(block), .number(estimate?.mean), .number(estimate?.standardError),
        .number(mean.null[i]),
      ])
    }
    let places = Axis.tics(mean.rows, most: 16)
    let profile = Axis.linear(
      mean.rowMeans.flatMap { e in
        [e?.mean].flatMap { m in
          [-1, 1].map { side in m.map { $0 + side * (e?.standardError ?? 0) } }
        }
      } + mean.null)
    let (hasErrors, hasNull) = (
      mean.rowMeans.contains { $0?.standardError != nil }, mean.null.contains { $0 != nil }
    )
    let sides = "set xtics \(Axis.tics(mean.columns, most: 16)); set ytics \(places)"
    var curves = [
      "name.'-rows.dat' using 3:1 with linespoints pt 7 ps 0.6 lw 2 lc '\(Palette.main)' "
        + "title 'mean of the row'"
    ]
    if hasErrors {
      curves.insert(
        "name.'-rows.dat' using 3:1:4 with xerrorbars pt 0 lw 1 lc '\(Palette.main)'", at: 0)
    }
    if hasNull {
      curves.append(
        "name.'-rows.dat' using 5:1 with lines dt 2 lw 2 lc '\(Palette.other)' title 'null level'")
    }
    return Figure(
      name: "\(run.stem)-depth", title: "Coupling across depth",
      caption: "Row i, column j: the Jacobian of block i in the singular basis of block j, "
        + "\(run.overTables(mean.count)). "
        + (mean.diagonalIsTrivial
          ? "Grey: a block in its own basis, 1 by definition. "
          : "Crossed form: the diagonal entries are results like any others. ")
        + colors.inWords + "Right: the mean of each row"
        + (hasErrors ? ", with its standard error over prompts" : "")
        + (hasNull ? "; dashed: the null level, expected of independent bases. " : ". ")
        + run.levels + " "
        + run.reading,
      height: 640, tables: [mean.entries(named: ("block j", "block i")), rows],
      commands: """
        set multiplot
        set tics scale 0.6
        unset grid
        \(sides)
        set xrange [-0.5:\(Double(mean.columns.count) - 0.5)]
        set yrange [\(Double(mean.rows.count) - 0.5):-0.5]
        set xlabel 'block j: the basis'
        set ylabel 'block i: the Jacobian'
        \(colors.command)
        set cblabel '\(run.scoreName)'
        set colorbox user origin screen 0.495, 0.13 size screen 0.014, 0.76
        set object 1 rectangle from graph 0, graph 0 to graph 1, graph 1 behind \
        fillcolor rgb '\(Palette.blank)' fillstyle solid noborder
        \(Axis.panel(x: 0.0725...0.478, y: 0.13...0.89))
        plot name.'.dat' using 1:2:5 with \(image(mean.rows.count * mean.columns.count))
        unset object 1
        set grid
        set xtics \(profile.step)
        set xrange \(profile.range)
        set xlabel '\(run.scoreName)'
        unset ylabel
        set key at graph 0.5, graph 1.01 center bottom vertical
        \(Axis.panel(x: 0.65...0.98, y: 0.13...0.89))
        plot \(curves.joined(separator: ", "))
        unset multiplot
        """, live: .depth(run, colors, mean))
  }

  /// The gnuplot style of a heat map: rectangles, which are sharp at any size, unless there are so many that the file would be
  /// large.
  static func image(_ entries: Int) -> String { entries > 10_000 ? "image" : "image pixels" }
}

extension ReportedRun {
  /// The mean over prompts of coupling across depth; nil unless the run couples at least two blocks.
  var depthTable: MeanTable? {
    guard kind == .depth, let mean = MeanTable(tables.flatMap { $0 }), mean.rows.count > 1,
      !mean.telling.isEmpty
    else { return nil }
    return mean
  }

  /// `mean over 4 prompts of NAME`, or `one prompt of NAME`, for a mean over `count` tables.
  func overTables(_ count: Int) -> String {
    count <= 1
      ? "one prompt of \(label)"
      : count == prompts.count
        ? "mean over \(scope)" : "mean over \(count) tables of \(scope)"
  }

  /// A sentence with the run's mean, its standard error and its null level.
  var levels: String {
    guard let coupling, let mean = coupling.value.mean else { return "" }
    let error = coupling.value.standardError.map { " ± \(short($0))" } ?? ""
    let null = coupling.null.map { ", null level \(short($0))" } ?? ""
    return "Mean \(short(mean))\(error) (diagonal \(coupling.diagonal.rawValue))\(null)."
  }
}
