import Studies
import Alignment
import Analysis

extension Figure {
  /// Score against coupling for the models that have a score, with the least-squares line.
  ///
  /// nil if the study has too few models.
  static func correlation(_ study: CorrelationStudy) -> Figure? {
    let models = study.models.filter { $0.standing == .used }
    guard let found = study.statistics, !models.isEmpty else { return nil }
    let (name, hasNull) = ("coupling 1 − m", models.contains { $0.null != nil })
    var table = DataTable(columns: ["mean", "score", "lower", "upper", "null", "model"])
    for model in models {
      table.append([
        .number(model.value.mean), .number(model.score),
        .number(model.value.interval?.lower ?? model.value.mean),
        .number(model.value.interval?.upper ?? model.value.mean), .number(model.null),
        .label(model.model),
      ])
    }
    var column = DataTable("-column", columns: ["x", "y", "score"])
    column.append([0, 0.5, .label(study.score)])
    let shown = models.flatMap {
      [$0.value.mean, $0.value.interval?.lower, $0.value.interval?.upper, $0.null]
    }
    var curves: [String] = []
    if let line = found.pearson {
      curves.append(
        "\(line.intercept) + \(line.slope) * x with lines lw 2.5 lc '\(Palette.other)' "
          + "title 'least squares, R² = \(short(line.rSquared))'")
    }
    if hasNull {
      curves.append(
        "name.'.dat' using 5:2 with points pt 2 ps 0.9 lw 1.5 lc '#777777' title 'null level'")
    }
    curves += [
      "name.'.dat' using 1:2:3:4 with xerrorbars pt 7 ps 1.1 lw 1.5 lc '\(Palette.main)' "
        + "title 'models'",
      "name.'.dat' using 1:2:6 with labels left offset 0.8, 0.6 font small",
    ]
    let (height, key) = (680, Axis.key(entries: curves.count - 1))
    let top = 1 - key.height / Double(height)
    return Figure(
      name: "correlation", title: "Coupling and scores", caption: caption(study, found),
      height: height, tables: [table, column],
      commands: """
        set multiplot
        set xrange \(Axis.range(shown))
        set yrange \(Axis.range(models.map(\.score)))
        set xlabel '\(name)'
        \(key.command)
        \(Axis.panel(x: 0.10...0.97, y: 0.13...top))
        plot \(curves.joined(separator: ", "))
        unset border
        unset tics
        unset grid
        unset xlabel
        set xrange [0:1]
        set yrange [0:1]
        \(Axis.panel(x: 0...1, y: 0.13...top))
        plot name.'-column.dat' using (0.02):2:3 with labels rotate by 90
        unset multiplot
        """, live: .correlation(study, models, found))
  }

  /// The statistics of the correlation, and the study's warnings.
  private static func caption(_ study: CorrelationStudy, _ found: ScoreCorrelation) -> String {
    var parts = ["\(study.quantity) of \(found.count) models against \(study.score)."]
    if let line = found.pearson {
      parts.append(
        "Pearson r = \(short(line.r)), R² = \(short(line.rSquared)), p = \(short(line.pValue))"
          + (found.intervalOverModels.map {
            ", bootstrap interval of r over models \(short($0.lower)) to \(short($0.upper))."
          } ?? "."))
    }
    if let ranks = found.spearman { parts.append("Spearman ρ = \(short(ranks.rho)).") }
    if let partial = found.partial {
      parts.append("Given ln(width): r = \(short(partial.r)), p = \(short(partial.pValue)).")
    }
    let rivals = found.rivals.compactMap { rival in
      rival.correlation.map { "\(rival.name) \(short($0.rSquared))" }
    }
    if !rivals.isEmpty {
      parts.append("R² of predictors that need no Jacobian: \(rivals.joined(separator: ", ")).")
    }
    let left = study.models.count - found.count
    if left > 0 { parts.append("\(left) runs without a score are left out.") }
    return (parts + study.warnings.map { "Note: \(plainText($0, limit: 400))." })
      .joined(separator: " ")
  }
}
