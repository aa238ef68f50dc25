import Alignment

extension Figure {
  /// Coupling between the tokens of one prompt, at some of the blocks.
  ///
  /// nil for coupling across depth, or if the run has only one token.
  static func tokens(_ run: ReportedRun, _ colors: ColorScale) -> Figure? {
    guard let found = run.tokenTables else { return nil }
    let count = found.drawn.count
    let columns = count == 4 ? 2 : min(count, 3)
    let lines = (count + columns - 1) / columns
    let texts = run.record.prompts[found.prompt].tokens
    // Squares of `side` pixels at a distance of `pitch`, with the names of tokens left of and below them.
    let (side, pitch) = (texts == nil ? 270.0 : 225.0, 345.0)
    let left = texts == nil ? 80.0 : 140.0
    let height = 30 + 400 * lines
    var tables: [DataTable] = []
    var panels: [String] = []
    for (p, (table, mean)) in found.drawn.enumerated() {
      let suffix = p == 0 ? "" : "-\(p + 1)"
      tables.append(mean.entries(suffix, named: ("token t'", "token t")))
      let (column, line) = (Double(p % columns), Double(p / columns))
      let (x, y) = (left + column * pitch, Double(height) - 45 - line * 400 - side)
      let (w, h) = (Double(Figure.width), Double(height))
      let names = [(mean.columns, AxisNames.Side.bottom), (mean.rows, .left)].map { names, side in
        texts.map { _ in
          AxisNames(
            "-\(side)\(suffix)", names.map { tokenLabel($0, texts) }, side: side, most: 14,
            limit: 11)
        }
      }
      tables += names.compactMap { $0?.table }
      let words = zip(names, [Double(mean.rows.count) - 0.5, -0.5]).compactMap { names, start in
        names.map { ", " + $0.command(start: start) }
      }.joined()
      panels.append(
        """
        \(column > 0 ? "unset ylabel" : "set ylabel 'token t: the Jacobian' offset \(texts == nil ? 0.5 : -6)")
        set title 'block \(table.place.layer ?? 0)\(basis(table))' offset 0, -0.6
        set xrange [-0.5:\(Double(mean.columns.count) - 0.5)]
        set yrange [\(Double(mean.rows.count) - 0.5):-0.5]
        set xtics \(texts == nil ? Axis.tics(mean.columns, most: 10) : "format ''")
        set ytics \(texts == nil ? Axis.tics(mean.rows, most: 10) : "format ''")
        \(Axis.panel(x: (x / w)...((x + side) / w), y: (y / h)...((y + side) / h)))
        plot name.'\(suffix).dat' using 1:2:5 with \(image(mean.rows.count * mean.columns.count * count))\
        \(words)
        unset colorbox
        """)
    }
    let bar = left + Double(columns - 1) * pitch + side + 20
    return Figure(
      name: "\(run.stem)-tokens", title: "Tokens against tokens",
      caption: "\(run.kindInWords) Row t, column t', "
        + "prompt \(found.prompt + 1) of \(run.label), "
        + (count < found.count ? "\(count) of \(found.count) blocks. " : "every block. ")
        + "Grey: a Jacobian in its own basis. One colour scale for all panels. \(colors.inWords)"
        + "\(run.levels) \(run.reading)",
      height: height, tables: tables,
      commands: """
        set multiplot
        unset grid
        set xlabel 'token t′: the basis' offset 0, \(texts == nil ? 0.3 : -3.6)
        \(colors.command)
        set cblabel '\(run.scoreName)'
        set colorbox user origin screen \(bar / Double(Figure.width)), \
        \((Double(height) - 45 - side) / Double(height)) size screen 0.012, \(side / Double(height))
        set object 1 rectangle from graph 0, graph 0 to graph 1, graph 1 behind \
        fillcolor rgb '\(Palette.blank)' fillstyle solid noborder
        \(panels.joined(separator: "\n"))
        unset multiplot
        """, live: .tokens(run, colors, found))
  }

  /// Mean coupling between tokens at every block, with its null level.
  ///
  /// nil for coupling across depth, or if the run has fewer than two blocks.
  static func tokensAlongDepth(_ run: ReportedRun) -> Figure? {
    guard run.kind != .depth else { return nil }
    let tables = run.tables.map { Dictionary(grouping: $0) { $0.place.layer ?? 0 } }
    let blocks = Set(tables.flatMap(\.keys)).sorted()
    guard blocks.count > 1 else { return nil }
    var table = DataTable(columns: ["block", "mean", "standard error", "null"])
    var (shown, hasErrors, hasNull, hasMean): ([Double?], Bool, Bool, Bool) = (
      [], false, false, false
    )
    for block in blocks {
      let here = tables.compactMap { $0[block] }
      let mean = MeanEstimate(
        here.compactMap { MeanEstimate($0.compactMap { $0.mean() })?.mean })
      let null = MeanEstimate(here.joined().flatMap { ($0.null ?? []).compactMap { $0 } })?.mean
      table.append([
        .integer(block), .number(mean?.mean), .number(mean?.standardError), .number(null),
      ])
      let error = mean?.standardError ?? 0
      shown += [mean.map { $0.mean - error }, mean.map { $0.mean + error }, null]
      hasErrors = hasErrors || mean?.standardError != nil
      hasNull = hasNull || null != nil
      hasMean = hasMean || mean != nil
    }
    guard hasMean else { return nil }
    var curves = [
      "name.'.dat' using 1:2 with linespoints pt 7 ps 0.8 lw 2 lc '\(Palette.main)' "
        + "title 'mean over pairs of tokens'"
    ]
    if hasErrors {
      curves.insert(
        "name.'.dat' using 1:2:3 with yerrorbars pt 0 lw 1.5 lc '\(Palette.main)'", at: 0)
    }
    if hasNull {
      curves.append(
        "name.'.dat' using 1:4 with lines dt 2 lw 2 lc '\(Palette.other)' title 'null level'")
    }
    let extent = (blocks[blocks.count - 1] - blocks[0]) + 1
    return Figure(
      name: "\(run.stem)-tokens-depth", title: "Coupling of tokens along depth",
      caption: "\(run.kindInWords) Mean over pairs of different tokens, then over \(run.scope)"
        + "\(hasErrors ? ", with its standard error over prompts" : ""). \(run.levels) \(run.reading)",
      height: 440, tables: [table],
      commands: """
        set xrange \(Axis.range(blocks.map { Double($0) }))
        set yrange \(Axis.range(shown))
        set xtics \(Axis.integerStep(extent, most: 16))
        set xlabel 'block'
        set ylabel '\(run.scoreName)' offset 1
        set key at graph 0.5, graph 1.02 center bottom horizontal
        \(Axis.panel(x: 0.11...0.98, y: 0.22...0.90))
        plot \(curves.joined(separator: ", "))
        """, live: .tokensAlongDepth(run, table))
  }

  private static func basis(_ table: CouplingMatrix) -> String {
    guard let basis = table.place.basisLayer, basis != table.place.layer else { return "" }
    return " in the bases of block \(basis)"
  }
}

/// The token tables of one prompt that are drawn.
struct TokenTables {
  /// The drawn tables, chosen evenly over depth.
  let drawn: [(table: CouplingMatrix, mean: MeanTable)]
  /// The prompt, counted from 0.
  let prompt: Int
  /// The number of tables that the prompt has.
  let count: Int
}

extension ReportedRun {
  /// The tables of the first prompt that has any; nil for coupling across depth, or if the run has only one token.
  var tokenTables: TokenTables? {
    guard kind != .depth, let prompt = tables.firstIndex(where: { !$0.isEmpty }) else { return nil }
    let all = tables[prompt].filter { $0.rows.count > 1 }
    let drawn = Figure.spread(all.count, most: 6).compactMap { i in
      MeanTable([all[i]]).map { (table: all[i], mean: $0) }
    }
    guard drawn.contains(where: { !$0.mean.telling.isEmpty }) else { return nil }
    return TokenTables(drawn: drawn, prompt: prompt, count: all.count)
  }

  /// A sentence that says which Jacobians are compared.
  var kindInWords: String {
    switch kind {
    case .depth: "Blocks of one token against each other."
    case .tokens: "Self: the Jacobian of token t to itself against that of token t'."
    case .contextInput: "Context, common input: the Jacobians from one token to tokens t and t'."
    case .contextOutput: "Context, common output: the Jacobians from tokens t and t' to one token."
    }
  }
}
