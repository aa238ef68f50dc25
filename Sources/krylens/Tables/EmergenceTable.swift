import Studies
import Files
import Alignment
import Analysis
import Foundation

/// What `emergence` prints: one line per checkpoint, then in words what changed between the first and the last.
struct EmergenceTable {
  let text: String

  /// `record` may be of any of the runs, since all have the same settings.
  init(_ emergence: Emergence, _ record: RunRecord, folder: String) {
    let prompts = emergence.prompts
    let (m, s) = (record.model, record.settings)
    let rank = s.ranks.max() ?? s.top
    let columns = [
      Column(
        name: "coupling", points: emergence.series(Emergence.coupling, rank: rank), showsNull: true),
      Column(
        name: "line shape",
        points: emergence.series(
          TrajectoryStatistic.Quantity.lineShapeScore.rawValue, tokens: .last)),
      Column(
        name: "growth",
        points: emergence.series(TrajectoryStatistic.Quantity.growth.rawValue, tokens: .last)),
    ]
    var lines = wrapped(
      "\(m.family), \(m.layers) blocks, width \(m.width), \(emergence.steps.count) checkpoints; "
        + "means over \(prompts) prompt\(prompts == 1 ? "" : "s")")
    lines += wrapped(
      "site \(s.site.rawValue), last block \(s.last.rawValue); coupling at rank \(rank): "
        + "\(s.sign.rawValue), \(s.normalisation), \(s.form.shown.rawValue), \(s.score.rawValue); "
        + "paths of the last token")
    lines += emergence.notes.flatMap { wrapped("note: \(escaped($0))") }
    lines += ["", padded("step", 8) + columns.map(\.header).joined()]
    for step in emergence.steps {
      lines.append(padded("\(step)", 8) + columns.map { $0.cells(step) }.joined())
    }
    lines.append("")
    lines += columns.compactMap { Self.change($0, emergence) }.flatMap { wrapped($0) }
    lines += ["", "written to \(folder)"]
    text = lines.joined(separator: "\n")
  }

  /// The change from the first checkpoint to the last in words, with any higher or lower value between them; nil if the
  /// number is missing in either.
  private static func change(_ column: Column, _ emergence: Emergence) -> String? {
    guard column.points.count > 1, let first = column.points.first, let last = column.points.last,
      let a = first.value.mean, let b = last.value.mean
    else { return nil }
    var text =
      "\(column.name) \(b > a ? "rises" : b < a ? "falls" : "goes") from \(number(a)) at step \(first.step) to "
      + "\(number(b)) at step \(last.step)"
    if let change = emergence.change(from: first, to: last) {
      let isApart = change.pValue < QuantityComparison.significance
      text +=
        " (\(isApart ? "more than chance" : "this may be chance"): prompt by prompt by "
        + "\(number(change.interval.lower)) to \(number(change.interval.upper)), "
        + "\(counted(change.count, "prompt")), \(probability(change.pValue)))"
    } else {
      text += " (one prompt gives no interval: this may be chance)"
    }
    let known = column.points.compactMap { point in point.value.mean.map { (point.step, $0) } }
    if let (step, mean) = known.max(by: { $0.1 < $1.1 }), mean > max(a, b) {
      text += "; highest \(number(mean)) at step \(step)"
    }
    if let (step, mean) = known.min(by: { $0.1 < $1.1 }), mean < min(a, b) {
      text += "; lowest \(number(mean)) at step \(step)"
    }
    return text
  }
}

/// The columns of one quantity: its mean, standard error and, for coupling, null level.
private struct Column {
  let name: String
  let points: [Emergence.Point]
  var showsNull = false

  var header: String {
    padded(name, 12) + padded("± se", 9) + (showsNull ? padded("null", 9) : "")
  }

  func cells(_ step: Int) -> String {
    let point = points.first { $0.step == step }
    let cell = { (value: Double?, width: Int) in padded(value.map(number) ?? "", width) }
    return cell(point?.value.mean, 12) + cell(point?.value.standardError, 9)
      + (showsNull ? cell(point?.null, 9) : "")
  }
}

private func number(_ x: Double) -> String { String(format: "%.4f", x) }
