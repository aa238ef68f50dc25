import Alignment
import Analysis
import Foundation

/// What `compare` prints: the runs A and B, what differs in how they were made, the numbers, what they say, the blocks.
struct ComparisonTable {
  let text: String

  init(_ c: RunComparison) {
    var lines = [Self.title("A", c.first), Self.title("B", c.second), ""]
    lines +=
      c.differences.isEmpty
      ? ["model and settings are the same"]
      : aligned(
        [["differs in", "A", "B"]]
          + c.differences.map { [printable($0.key)] + $0.values.map { printable($0) } })
    lines += ["", "prompts in common: \(c.commonPrompts)"]
    lines += c.notes.map { "not compared: \($0)" }
    lines.append("")
    lines += aligned(
      [["", "A", "B", "B − A", "prompt by prompt"]] + c.quantities.flatMap(Self.rows))
    lines.append("")
    lines += c.quantities.map(Self.sentence)
    if !c.blocks.isEmpty {
      lines += ["", "largest differences over prompts, block by block"]
      lines += aligned(
        [["block", "σ, of σ₁", "coupling"]]
          + c.blocks.map { ["\($0.layer)", Self.tiny($0.singularValues), Self.tiny($0.coupling)] })
    }
    text = lines.joined(separator: "\n")
  }

  private static func title(_ letter: String, _ run: ComparedRun) -> String {
    let m = run.model
    return
      "\(letter)  \(printable(run.run)): \(printable(m.name)), \(printable(m.family)), \(m.layers) blocks, "
      + "width \(m.width), \(millions(m.parameters)) parameters, "
      + "\(run.prompts) prompt\(run.prompts == 1 ? "" : "s")\(run.complete ? "" : ", unfinished")"
  }

  private static func rows(_ q: QuantityComparison) -> [[String]] {
    let value = { (p: PromptMean) in
      (p.mean.map(short) ?? "") + (p.interval.map { " " + bounds($0) } ?? "")
    }
    var rows = [
      [
        q.name, value(q.first), value(q.second), short(q.difference),
        q.paired.map { short($0.mean) + " " + bounds($0.interval) } ?? "",
      ]
    ]
    if q.firstNull != nil || q.secondNull != nil {
      rows.append(["  null level", q.firstNull.map(short) ?? "", q.secondNull.map(short) ?? ""])
    }
    return rows
  }

  /// Whether the two stand apart, in words.
  private static func sentence(_ q: QuantityComparison) -> String {
    let direction =
      q.difference == 0
      ? "is the same" : "is \(q.difference > 0 ? "higher" : "lower") by \(short(abs(q.difference)))"
    var text = "\(q.name): B \(direction); "
    switch q.standing {
    case .apart: text += "the two stand apart by more than their intervals"
    case .together: text += "the two do not stand apart by more than their intervals"
    case .unknown:
      text += "of one prompt there is no interval, so nothing is known of the difference"
    }
    if let p = q.paired {
      let isTold = p.interval.lower > 0 || p.interval.upper < 0
      text +=
        "; prompt by prompt (\(p.count)) the difference is \(isTold ? "told from 0" : "not told from 0"), "
        + probability(p.pValue)
    }
    return text
  }

  private static func bounds(_ i: BootstrapInterval) -> String {
    "[\(short(i.lower)), \(short(i.upper))]"
  }

  private static func tiny(_ x: Double?) -> String { x.map { String(format: "%.1e", $0) } ?? "" }
}
