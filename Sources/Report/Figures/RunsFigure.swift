import Alignment
import Analysis
import Foundation

extension Figure {
  /// Coupling, line-shape score and expodistance of every run, prompt by prompt, with the interval of the mean.
  ///
  /// A model and its copy with random weights are neighbours. nil for one run of one prompt, which would be a single point.
  static func runs(_ runs: [ReportedRun]) -> Figure? {
    let measures = Measure.all.filter { m in runs.contains { m.value($0)?.mean != nil } }
    let mostPrompts = runs.map(\.prompts.count).max() ?? 0
    guard !measures.isEmpty, runs.count > 1 || mostPrompts > 1 else { return nil }
    let hasTwins = runs.contains { $0.isRandom } && runs.contains { !$0.isRandom }
    var names = DataTable("-names", columns: ["run", "name"], isForNames: true)
    for (r, run) in runs.enumerated() {
      names.append([.integer(r), .label(shortened(run.label, limit: 28))])
    }
    var tables = [names]
    var panels: [String] = []
    let (left, right, gap) = (0.235, 0.985, 0.03)
    let width = (right - left + gap) / Double(measures.count) - gap
    let bottom = 100 / Double(height(runs.count))
    for (m, measure) in measures.enumerated() {
      let (means, points, shown) = measure.tables(runs)
      tables += [means, points]
      let isLogarithmic = (shown.min() ?? 0) > 0 && (shown.max() ?? 0) > 20 * (shown.min() ?? 0)
      let (file, x) = ("name.'-\(measure.name)", left + Double(m) * (width + gap))
      var curves: [String] = []
      for (isRandom, color) in [(0, Palette.main), (1, Palette.other)]
      where runs.contains(where: {
        measure.value($0)?.mean != nil && $0.isRandom == (isRandom == 1)
      }) {
        curves += [
          "\(file)-prompts.dat' using ($3 == \(isRandom) ? $2 : NaN):1 with points pt 7 ps 0.55 "
            + "lc '#80\(color.dropFirst())'",
          "\(file).dat' using ($6 == \(isRandom) ? $2 : NaN):1:3:4 with xerrorbars pt 5 ps 0.9 "
            + "lw 2.5 lc '\(color)'",
        ]
      }
      if measure.hasNull, runs.contains(where: { $0.coupling?.null != nil }) {
        curves.append("\(file).dat' using 5:1 with points pt 2 ps 0.9 lw 2 lc '#222222'")
      }
      let axis = Axis.linear(shown, most: 4)
      let range = isLogarithmic ? Axis.range(shown, isLogarithmic: true) : axis.range
      if m == 0 {
        // The names are right-aligned at the left end of the first panel.
        let end = range.dropFirst().prefix { $0 != ":" }
        curves.append(
          "name.'-names.dat' using (\(end)):1:2 with labels right offset -1, 0 font small")
      }
      panels.append(
        """
        \(isLogarithmic ? "set logscale x" : "unset logscale x")
        set xrange \(range)
        set xtics \(isLogarithmic ? Axis.logarithmicTics(shown, most: 5) : axis.step)
        set xlabel '\(measure.label(runs[0]))'
        \(Axis.panel(x: x...(x + width), y: bottom...0.97))
        plot \(curves.joined(separator: ", "))
        """)
    }
    let intervals = runs.compactMap { $0.coupling?.value.interval }.first
    return Figure(
      name: "runs", title: runs.count > 1 ? "Comparison of the runs" : "Prompt by prompt",
      caption: "Dots: prompts. Squares: their mean"
        + (intervals.map {
          ", with the \(Int(($0.level * 100).rounded())) % interval over prompts"
        } ?? "")
        + ". Crosses: the null level of coupling. "
        + (hasTwins
          ? "Blue: as published or trained; vermilion: the same architecture with random weights. "
          : "")
        + "Line-shape score and expodistance are those of each prompt's last token: "
        + "a line-shape score of 1 is a straight path, an expodistance of 0 exactly exponential growth of the norm. "
        + readings(runs),
      height: height(runs.count), tables: tables,
      commands: """
        set multiplot
        set yrange [\(Double(runs.count) - 0.5):-0.5]
        unset ytics
        set grid xtics
        set bars 0.6
        \(panels.joined(separator: "\n"))
        unset multiplot
        """, live: .runs(runs, measures))
  }

  private static func height(_ runs: Int) -> Int { 150 + 46 * max(runs, 2) }

  /// The runs' common reading of coupling, or, if they differ, the reading of each run.
  static func readings(_ runs: [ReportedRun]) -> String {
    let all = runs.map(\.reading)
    guard let first = all.first, Set(all).count > 1 else { return all.first ?? "" }
    let others = zip(runs, all).map { "\($0.label): \($1)" }
    return first.isEmpty
      ? "" : "The runs read coupling differently. " + others.joined(separator: " ")
  }
}

/// A quantity of each prompt by which runs are compared.
struct Measure: Sendable {
  let name: String
  let hasNull: Bool
  let label: @Sendable (ReportedRun) -> String
  let value: @Sendable (ReportedRun) -> PromptMean?

  /// The runs' means, the values of their prompts, and all numbers that the axis must contain.
  func tables(_ runs: [ReportedRun]) -> (means: DataTable, points: DataTable, shown: [Double]) {
    var points = DataTable("-\(name)-prompts", columns: ["run", "value", "random"])
    var means = DataTable(
      "-\(name)", columns: ["run", "mean", "lower", "upper", "null", "random"])
    var shown: [Double?] = []
    for (r, run) in runs.enumerated() {
      guard let value = value(run), let mean = value.mean else { continue }
      let (known, isRandom) = (value.perPrompt.compactMap { $0 }, run.isRandom ? 1 : 0)
      for (p, x) in known.enumerated() {
        // Prompts are spread over the height of the row, in order.
        let shift = known.count > 1 ? 0.44 * (Double(p) / Double(known.count - 1) - 0.5) : 0
        points.append([.number(Double(r) + shift), .number(x), .integer(isRandom)])
      }
      let null = hasNull ? run.coupling?.null : nil
      let (lower, upper) = (value.interval?.lower ?? mean, value.interval?.upper ?? mean)
      means.append([
        .integer(r), .number(mean), .number(lower), .number(upper), .number(null),
        .integer(isRandom),
      ])
      shown += known + [lower, upper, null]
    }
    return (means, points, shown.compactMap { $0 })
  }

  static let all = [
    Measure(name: "coupling", hasNull: true, label: { $0.scoreName }) { $0.coupling?.value },
    Measure(name: "line-shape", hasNull: false, label: { _ in "line-shape score, last token" }) {
      $0.path(.lineShapeScore)
    },
    Measure(name: "expodistance", hasNull: false, label: { _ in "expodistance, last token" }) {
      $0.path(.expodistance)
    },
  ]
}
