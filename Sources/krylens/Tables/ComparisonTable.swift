import Studies
import Files
import Alignment
import Analysis
import Foundation

/// What `compare` prints: the runs A and B, their differences in settings, the numbers and what they show, the blocks.
struct ComparisonTable {
  let text: String

  init(_ c: RunComparison) {
    var lines = Self.title("A", c.first) + Self.title("B", c.second) + [""]
    lines +=
      c.differences.isEmpty
      ? ["model and settings are the same"]
      : aligned(
        [["differs in", "A", "B"]]
          + c.differences.map { [escaped($0.key, limit: 24)] + $0.values.map(Self.cut) })
    lines += ["", "prompts in common: \(c.commonPrompts)"]
    switch c.likeness {
    case .sameFolder: lines.append("A and B are the same folder: all differences are zero")
    case .sameNumbers:
      lines.append("every number that both hold is equal: all differences are zero")
    case nil: break
    }
    lines += c.notes.flatMap { wrapped("note: \(escaped(SettingMessage(recorded: $0).inOptions))") }
    lines.append("")
    lines += aligned([["", "A", "B", "B − A", "p"]] + c.quantities.flatMap(Self.rows))
    lines += ["", "from, to: 95 % intervals over prompts; B − A and p are paired by prompt"]
    if c.likeness == nil {
      lines += [""] + c.quantities.flatMap { wrapped(Self.sentence($0)) }
    }
    if !c.blocks.isEmpty {
      lines += ["", "largest differences over prompts, block by block"]
      lines += aligned(
        [["block", "σ, of σ₁", "coupling"]]
          + c.blocks.map { ["\($0.layer)", Self.tiny($0.singularValues), Self.tiny($0.coupling)] })
    }
    text = lines.joined(separator: "\n")
  }

  private static func title(_ letter: String, _ run: ComparedRun) -> [String] {
    let m = run.model
    return wrapped(
      "\(letter)  \(escaped(run.run, limit: 100)): \(escaped(m.name, limit: 100))", indent: 3)
      + wrapped(
        "   \(escaped(m.family, limit: 100)), \(m.layers) blocks, "
          + "width \(m.width), \(millions(m.parameters)) parameters, "
          + "\(run.prompts) prompt\(run.prompts == 1 ? "" : "s")\(run.complete ? "" : ", unfinished")",
        indent: 3)
  }

  private static func rows(_ q: QuantityComparison) -> [[String]] {
    let number = { (x: Double?) in x.map(short) ?? "" }
    var rows = [
      [
        q.name, number(q.first.mean), number(q.second.mean), short(q.difference),
        q.paired.map { String(format: "%.2g", $0.pValue) } ?? "",
      ]
    ]
    let intervals = [q.first.interval, q.second.interval, q.paired?.interval]
    if intervals.contains(where: { $0 != nil }) {
      rows.append(["  from"] + intervals.map { number($0?.lower) })
      rows.append(["  to"] + intervals.map { number($0?.upper) })
    }
    if q.firstNull != nil || q.secondNull != nil {
      rows.append(["  null level", number(q.firstNull), number(q.secondNull)])
    }
    return rows
  }

  /// Whether the two differ significantly, in words.
  private static func sentence(_ q: QuantityComparison) -> String {
    guard q.difference != 0 || q.standing == .apart else { return "\(q.name): the same in both" }
    let text =
      "\(q.name): B is \(q.difference > 0 ? "higher" : "lower") by \(short(abs(q.difference))); "
    let count = q.paired.map { "(\($0.count) pairs, \(probability($0.pValue)))" } ?? ""
    switch q.standing {
    case .apart: return text + "the two stand apart \(count)"
    case .together: return text + "the two cannot be told apart \(count)"
    case .unknown:
      return text + "not judged, as \(q.unjudged ?? "nothing is known about it")"
    }
  }

  /// Foreign text, escaped; a long one is cut in the middle, since names differ at their ends.
  private static func cut(_ text: String) -> String {
    let text = escaped(text)
    return text.count > 26 ? "\(text.prefix(12))…\(text.suffix(13))" : text
  }

  private static func tiny(_ x: Double?) -> String { x.map { String(format: "%.1e", $0) } ?? "" }
}
