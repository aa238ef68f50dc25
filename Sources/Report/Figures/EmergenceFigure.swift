import Studies
import Alignment
import Analysis
import Foundation

extension Figure {
  /// Coupling and line-shape score over training, one line per architecture.
  ///
  /// The step axis is logarithmic; step 0 is drawn left of a dotted line. nil unless two checkpoints have the same architecture.
  static func emergence(_ runs: [ReportedRun]) -> Figure? {
    let checkpoints = runs.filter { ($0.record.model.trainingStep ?? -1) >= 0 }
    let trained = checkpoints.filter { $0.kind == checkpoints[0].kind }
    let lines = grouped(trained).filter {
      Set($0.runs.compactMap(\.record.model.trainingStep)).count > 1
    }
    let steps = Set(lines.flatMap { $0.runs.compactMap(\.record.model.trainingStep) })
    guard let first = steps.filter({ $0 > 0 }).min(), let last = steps.max() else { return nil }
    let hasZero = steps.contains(0)
    // The place of step 0: a third of a decade left of the first step, or more on a long axis.
    let zero = Double(first) / max(2, pow(Double(last) / Double(first), 0.12))
    let measures: [(name: String, label: String, value: (ReportedRun) -> PromptMean?)] = [
      ("coupling", trained[0].scoreName, { $0.coupling?.value }),
      ("line-shape", "line-shape score, last token", { $0.path(.lineShapeScore) }),
    ]
    var (tables, panels): ([DataTable], [String]) = ([], [])
    let hasNull = lines.contains { $0.runs.contains { $0.coupling?.null != nil } }
    let key = Axis.key(entries: lines.count + (hasNull ? 1 : 0))
    let height = 465 + key.height
    for (m, measure) in measures.enumerated() {
      var shown: [Double?] = []
      var curves: [String] = []
      for (g, line) in lines.enumerated() {
        let suffix = "-\(measure.name)\(lines.count > 1 ? "-\(g + 1)" : "")"
        var table = DataTable(
          suffix, columns: ["place", "step", "mean", "lower", "upper", "null", line.name])
        let ordered = line.runs.sorted {
          ($0.record.model.trainingStep ?? 0) < ($1.record.model.trainingStep ?? 0)
        }
        for run in ordered {
          guard let value = measure.value(run), let step = run.record.model.trainingStep else {
            continue
          }
          let null = m == 0 ? run.coupling?.null : nil
          let interval = value.interval
          table.append([
            .number(step == 0 ? zero : Double(step)), .integer(step), .number(value.mean),
            .number(interval?.lower ?? value.mean), .number(interval?.upper ?? value.mean),
            .number(null), .label(run.label),
          ])
          shown += [value.mean, interval?.lower, interval?.upper, null]
        }
        tables.append(table)
        let (file, color) = ("name.'\(suffix).dat'", Palette.category(g))
        curves += [
          "\(file) using 1:4:5 with filledcurves fillstyle transparent solid 0.18 lc '\(color)'",
          "\(file) using 1:3 with linespoints pt 7 ps 0.8 lw 2.5 lc '\(color)'"
            + (lines.count > 1 ? " title columnhead(7)" : " title 'mean over prompts'"),
        ]
        if m == 0, hasNull {
          curves.append(
            "\(file) using 1:6 with lines dt 2 lw 2 lc '\(lines.count > 1 ? color : Palette.other)'"
              + (g == 0 ? " title 'null level'" : ""))
        }
      }
      panels.append(
        """
        set yrange \(Axis.range(shown))
        set ylabel '\(measure.label)' offset 1
        \(Axis.panel(x: m == 0 ? 0.11...0.49 : 0.595...0.98, y: 86 / height...1 - key.height / height))
        plot \(curves.joined(separator: ", "))
        """)
    }
    let border = (zero * Double(first)).squareRoot()
    return Figure(
      name: "emergence", title: "Emergence over training",
      caption: "Coupling and line-shape score against training steps: mean over prompts "
        + "with its interval"
        + (hasNull ? "; dashed: the null level of coupling" : "")
        + (hasZero ? ". Step 0, before training, is drawn left of the logarithmic axis" : "")
        + ". The line-shape score is that of each prompt's last token. "
        + readings(trained),
      height: Int(height), tables: tables,
      commands: """
        set multiplot
        set logscale x
        set xrange [\((hasZero ? zero : Double(first)) / 1.2):\(Double(last) * 1.2)]
        set xtics \(Axis.logarithmicTics([Double(first), Double(last)], most: 7, name: named))
        \(hasZero ? "set xtics add ('0' \(zero))" : "")
        \(hasZero ? "set arrow 1 from \(border), graph 0 to \(border), graph 1 nohead lc '#777777' dt 3" : "")
        set xlabel 'training step'
        \(key.command)
        \(panels.joined(separator: "\n"))
        unset multiplot
        """,
      live: LiveFigure(
        measures.map { .emergence(lines, $0.label, hasNull: $0.name == "coupling", $0.value) }))
  }

  /// The label of a step: 500, 2k, 1M; nil if `place` is not a positive integer.
  private static func named(_ place: Double) -> String? {
    guard let step = Int(exactly: place), step > 0 else { return nil }
    return step % 1_000_000 == 0
      ? "\(step / 1_000_000)M" : step % 1000 == 0 ? "\(step / 1000)k" : "\(step)"
  }

  /// The runs grouped by architecture, in the order of the first run of each.
  private static func grouped(_ runs: [ReportedRun]) -> [(name: String, runs: [ReportedRun])] {
    var groups: [(key: Architecture, name: String, runs: [ReportedRun])] = []
    for run in runs {
      if let g = groups.firstIndex(where: { $0.key == run.architecture }) {
        groups[g].runs.append(run)
      } else {
        groups.append((run.architecture, run.architecture.name, [run]))
      }
    }
    return groups.map { ($0.name, $0.runs) }
  }
}
