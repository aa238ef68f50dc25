import Alignment
import Analysis
import Studies

extension LiveFigure {
  /// The values of all prompts, one row per run.
  static func runs(_ runs: [ReportedRun], _ measures: [Measure]) -> LiveFigure {
    LiveFigure(
      measures.map { measure in
        var series: [LiveSeries] = []
        for (r, run) in runs.enumerated() {
          guard let value = measure.value(run), let mean = value.mean else { continue }
          let colour = run.isRandom ? 1 : 0
          let known = value.perPrompt.enumerated().filter { $0.element != nil }
          var dots = LiveSeries(
            colour: colour, x: known.map(\.element),
            y: known.indices.map { i in
              Double(r) + (known.count > 1 ? 0.5 * (Double(i) / Double(known.count - 1) - 0.5) : 0)
            }, isLine: false, mark: "dot", isFaint: true)
          dots.more = [
            ("tips", .list(known.map { .text("prompt " + run.promptName($0.offset)) }))
          ]
          if let bounds = value.perPromptBound, bounds.count == value.perPrompt.count {
            dots.more.append(("bounds", .bounds(known.map { bounds[$0.offset] })))
          }
          var square = LiveSeries(
            colour: colour, x: [mean], y: [Double(r)], isLine: false, mark: "square")
          square.more = [("tips", .list([.text("mean over prompts")]))]
          if let interval = value.interval {
            square.more += [
              ("xlow", .numbers([interval.lower])), ("xhigh", .numbers([interval.upper])),
            ]
          }
          series += [dots, square]
          if measure.hasNull, let null = run.coupling?.null {
            var cross = LiveSeries(
              colour: 6, x: [null], y: [Double(r)], isLine: false, mark: "cross")
            cross.more = [("tips", .list([.text("null level")]))]
            series.append(cross)
          }
        }
        return .lines(
          x: ["label": .text(measure.label(runs[0]))],
          y: [
            "label": "",
            // One run needs no name.
            "names": .list(
              runs.map { .text(runs.count > 1 ? shortened($0.label, limit: 28) : "") }),
          ], series: series,
          [
            ("height", .literal("\(70 + 30 * runs.count)")),
            ("basis", measures.count > 2 ? 300 : 380),
          ])
      })
  }

  /// Scores of models against their coupling.
  static func correlation(
    _ study: CorrelationStudy, _ models: [StudiedModel], _ found: ScoreCorrelation
  ) -> LiveFigure {
    let names = models.map { plainText($0.model, limit: 60) }
    let x: [Double?] = models.map { $0.value.mean }
    let y: [Double?] = models.map { $0.score }
    let lower: [Double?] = zip(models, x).map { $0.value.interval?.lower ?? $1 }
    let upper: [Double?] = zip(models, x).map { $0.value.interval?.upper ?? $1 }
    var points = LiveSeries(name: "models", x: x, y: y, isLine: false, mark: "dot")
    points.more = [
      ("tips", .texts(names)), ("labels", .texts(names.map { shortened($0, limit: 28) })),
      ("xlow", .numbers(lower)), ("xhigh", .numbers(upper)),
    ]
    var series = [points]
    let known = x.compactMap { $0 }
    if let line = found.pearson, let low = known.min(), let high = known.max() {
      let ends: [Double?] = [low, high].map { line.intercept + line.slope * $0 }
      series.append(
        LiveSeries(
          name: "least squares, R² = \(short(line.rSquared))", colour: 1, x: [low, high], y: ends,
          mark: nil))
    }
    if models.contains(where: { $0.null != nil }) {
      series.append(
        LiveSeries(
          name: "null level", colour: 6, x: models.map(\.null), y: y, isLine: false, mark: "cross"))
    }
    return LiveFigure([
      .lines(
        x: ["label": "coupling 1 − m", "word": "coupling"],
        y: ["label": .text(plainText(study.score, limit: 40))], series: series)
    ])
  }
}

extension PageJSON {
  /// One measure over training, one line per architecture.
  static func emergence(
    _ lines: [(name: String, runs: [ReportedRun])], _ label: String, hasNull: Bool,
    _ value: (ReportedRun) -> PromptMean?
  ) -> PageJSON {
    var series: [LiveSeries] = []
    let steps = lines.flatMap { $0.runs.compactMap(\.record.model.trainingStep) }
    // A logarithmic axis has no 0, so step 0 is drawn at half the first step.
    let zero = Double(steps.filter { $0 > 0 }.min() ?? 2) / 2
    for (g, line) in lines.enumerated() {
      let runs = line.runs.filter { value($0)?.mean != nil }.sorted {
        ($0.record.model.trainingStep ?? 0) < ($1.record.model.trainingStep ?? 0)
      }
      let known = runs.map { Double($0.record.model.trainingStep ?? 0) }
      let x = known.map { $0 > 0 ? $0 : zero as Double? }
      let values = runs.map(value)
      var curve = LiveSeries(
        name: lines.count > 1 ? line.name : "mean over prompts", colour: g, x: x,
        y: values.map { $0?.mean })
      curve.mark = "dot"
      curve.more = [
        ("tips", .list(zip(runs, known).map { .text("\($0.label), step \(Int($1))") })),
        ("low", .numbers(values.map { $0?.interval?.lower ?? $0?.mean })),
        ("high", .numbers(values.map { $0?.interval?.upper ?? $0?.mean })),
      ]
      series.append(curve)
      let nulls = runs.map { $0.coupling?.null }
      if hasNull, nulls.contains(where: { $0 != nil }) {
        series.append(
          LiveSeries(
            name: "null level", colour: lines.count > 1 ? g : 1, x: x, y: nulls, isDashed: true,
            mark: nil, isSilent: g > 0))
      }
    }
    return .lines(
      x: [
        "label": .text(steps.contains(0) ? "training step (leftmost: step 0)" : "training step"),
        "log": true,
      ],
      y: ["label": .text(label)], series: series)
  }
}

extension ReportedRun {
  /// `2: What is the capital…`
  func promptName(_ p: Int) -> String {
    record.prompts.indices.contains(p)
      ? "\(p + 1)" + given(p).map { ": \($0)" }.joined() : "\(p + 1)"
  }
}
