import Alignment

extension LiveFigure {
  /// Coupling of every pair of blocks in every recorded reading, as a mean over prompts and for single prompts.
  static func depth(_ run: ReportedRun, _ colors: ColorScale, _ mean: MeanTable) -> LiveFigure? {
    let (readings, settings) = run.readings
    let entries = mean.rows.count * mean.columns.count
    // An entry and its bound take about 12 bytes.
    let bytes = 12 * entries * settings.count
    guard bytes <= run.liveBytes else { return nil }
    let choices = PromptChoices(run, bytesEach: bytes) { !run.tables[$0].isEmpty }
    var figure = LiveFigure(
      readings + [choices.control],
      [
        [
          "type": "heat", "digits": 5, "grow": 3, "basis": 430,
          "x": [
            "label": "block j: the basis", "word": "basis of block", "names": .names(mean.columns),
          ],
          "y": ["label": "block i: the Jacobian", "word": "block", "names": .names(mean.rows)],
        ],
        .lines(
          x: ["label": "block i", "word": "block", "whole": true],
          y: ["label": .text("\(run.scoreName), mean of the row")], [("grow", 2), ("basis", 320)]),
      ]
    ) { choice in
      let setting = settings[Array(choice.dropLast())] ?? run.setting
      let tables = { (prompts: [Int]) in
        MeanTable(
          prompts.flatMap { p in
            run.record.prompts[p].coupling.filter { $0.kind == run.kind && $0.setting == setting }
          })
      }
      guard let shown = tables(choices.options[choice[choice.count - 1]].prompts),
        shown.rows == mean.rows, shown.columns == mean.columns
      else { return [["values": .list(Array(repeating: .null, count: entries))], [:]] }
      // All prompts use the colour scale of their mean.
      let telling = setting == run.setting ? [] : tables(choices.options[0].prompts)?.telling ?? []
      let (low, high) = (telling.min() ?? colors.lowest, telling.max() ?? colors.highest)
      return [
        .object(
          shown.liveEntries + [
            ("colour", .range(run.scoreName, low, high > low ? high : low + 1e-6)),
            (
              "missing",
              .text(
                shown.diagonalIsTrivial ? "1 by definition, a block in its own basis" : "not known")
            ),
          ]), ["series": .list(rowSeries(shown).map(\.json))],
      ]
    }
    figure.note = choices.note
    return figure
  }

  private static func rowSeries(_ table: MeanTable) -> [LiveSeries] {
    let blocks = table.rows.map { Double($0) as Double? }
    let (means, errors) = (
      table.rowMeans.map { $0?.mean }, table.rowMeans.map { $0?.standardError }
    )
    var row = LiveSeries(name: "mean of the row", x: blocks, y: means)
    row.mark = "dot"
    if errors.contains(where: { $0 != nil }) {
      row.name = "mean of the row, standard error over prompts"
      row.more = LiveSeries.ends(means, errors)
    }
    guard table.null.contains(where: { $0 != nil }) else { return [row] }
    return [
      row,
      LiveSeries(
        name: "null level", colour: 1, x: blocks, y: table.null, isDashed: true, mark: nil),
    ]
  }
}

extension LiveSeries {
  /// The ends of error bars around the given numbers.
  static func ends(
    _ values: [Double?], _ errors: [Double?], across: Bool = false
  ) -> [(String, PageJSON)] {
    let end = { (side: Double) in
      PageJSON.numbers(
        zip(values, errors).map { value, error in value.map { $0 + side * (error ?? 0) } })
    }
    return [(across ? "xlow" : "low", end(-1)), (across ? "xhigh" : "high", end(1))]
  }
}

extension MeanTable {
  /// The values and bounds for a panel with `digits` = 5; trivial entries are missing.
  var liveEntries: [(String, PageJSON)] {
    let places = rows.indices.flatMap { i in columns.indices.map { (i, $0) } }
    let values = places.map { i, j in
      isTrivial(i, j) ? PageJSON.null : .scaled(self.values[i][j], digits: 5)
    }
    guard bounds.contains(where: { $0.contains { $0 != nil } }) else {
      return [("values", .list(values))]
    }
    return [
      ("values", .list(values)),
      ("bounds", .list(places.map { i, j in isTrivial(i, j) ? .null : .bound(bounds[i][j]) })),
    ]
  }
}
