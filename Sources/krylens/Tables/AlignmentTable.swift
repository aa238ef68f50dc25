import Files
import Alignment
import Analysis
import Foundation

/// What `align` prints, from the record alone: for each prompt one line per block and then the prompt's figures, or with
/// many prompts one line each; last the figures of the run.
struct AlignmentTable {
  let text: String

  /// The most tables with one line per block that are printed.
  private static let mostTables = 4

  /// The table of a run in a folder, its prompts read one after another. Throws `RunError.badRun`.
  init(_ run: RecordFile, folder: String) throws {
    try self.init(run.head, count: run.count, folder: folder) { try run.shown(prompt: $0) }
  }

  /// The table of a run in memory.
  init(_ record: RunRecord, folder: String) {
    self.init(record, count: record.prompts.count, folder: folder) { record.prompts[$0] }
  }

  private init(
    _ record: RunRecord, count: Int, folder: String, prompt: (Int) throws -> PromptRecord
  ) rethrows {
    let (m, settings) = (record.model, record.settings)
    var lines = modelLines(m)
    if !record.complete { lines.append("not finished: this is what is known so far") }
    var whole: [String] = []
    var brief: [Line] = []
    var (tables, failed) = (0, 0)
    var figures: [String] = []
    for p in 0..<count {
      let table = PromptTable(try prompt(p), number: p + 1, settings)
      tables += table.tables.count
      if table.prompt.failed != nil { failed += 1 }
      if tables <= Self.mostTables { whole += [""] + table.lines(isNumbered: count > 1) }
      brief.append(Line(table))
      figures = table.figures
    }
    let isBrief = tables > Self.mostTables
    lines +=
      isBrief ? [""] + PromptTable.what(settings, nil) + [""] + Self.brief(brief) : whole
    if failed > 0, count > 1 {
      lines += ["", "\(failed) of \(counted(count, "prompt")) failed"]
    }
    if count > 1 {
      lines += [""] + Self.study(record, prompts: count)
    } else if isBrief {
      lines += [""] + figures
    }
    lines.append("")
    let s = record.seconds
    // The times of an unfinished run are not known.
    if s.total > 0 {
      lines += [
        String(
          format: "%.2f s (load %.2f, solve %.2f, coupling %.2f)", s.total, s.load, s.solve,
          s.coupling),
        memoryLine(record.peakMemoryBytes, record.peakPrivateBytes),
      ]
    }
    lines.append(record.complete ? "written to \(folder)" : "read from \(folder)")
    text = lines.joined(separator: "\n")
  }

  /// A prompt on one line.
  private struct Line {
    /// nil for a prompt that failed.
    let cells: [String]?
    /// The text after the cells; for a failed prompt, the whole line.
    let rest: String
    let remedies: [String]

    init(_ table: PromptTable) {
      if let failed = table.prompt.failed {
        (cells, rest, remedies) = (nil, escaped("\(failed)"), [])
      } else {
        (cells, rest, remedies) = (table.cells, table.given, table.remedies)
      }
    }
  }

  /// The table with one line per prompt.
  private static func brief(_ prompts: [Line]) -> [String] {
    let header = [padded("prompt", 6), "coupling", "line shape", "growth", "tokens"]
    // The cells are aligned together with the header; each line is then followed by its longer text.
    let table = aligned([header] + prompts.compactMap(\.cells))
    var rows = table.dropFirst().makeIterator()
    return [table[0] + "  given"]
      + prompts.flatMap { prompt in
        guard prompt.cells != nil else { return [prompt.rest] }
        return [(rows.next() ?? "") + "  \(prompt.rest)"] + prompt.remedies.map { "        \($0)" }
      }
  }

  /// The means over the prompts, with standard errors and intervals.
  private static func study(_ record: RunRecord, prompts given: Int) -> [String] {
    let s = record.settings
    var values: [(name: String, value: PromptMean, null: Double?)] = []
    for rank in s.ranks {
      let setting = CouplingSetting(
        rank: rank, sign: s.sign,
        normalisation: CouplingNormalisation(rawValue: s.normalisation) ?? .frobenius,
        form: s.form.shown)
      // The record holds statistics of the one-minus score only.
      if let found = record.statistics.coupling(s.kind, setting) {
        values.append(("coupling, rank \(rank)", found.value, found.null))
      }
    }
    let names: [(TrajectoryStatistic.Quantity, TrajectoryStatistic.Tokens, String)] = [
      (.lineShapeScore, .last, "line-shape score"), (.growth, .last, "growth per block"),
      (.expodistance, .last, "expodistance"), (.linearisedPathCosine, .selected, "linearised path"),
    ]
    for (quantity, tokens, name) in names {
      if let value = record.statistics.trajectory(quantity, tokens)?.value, value.count > 0 {
        values.append((name, value, nil))
      }
    }
    let level = values.lazy.compactMap(\.value.interval).first?.level ?? 0.95
    let header = ["", "mean", "± se", String(format: "%g %% interval", 100 * level), "null level"]
    let rows = values.map { name, value, null in
      [
        name, value.mean.map(fixed) ?? "not defined", value.standardError.map(fixed) ?? "",
        value.interval.map { "\(fixed($0.lower)) to \(fixed($0.upper))" } ?? "",
        null.map(fixed) ?? "",
      ]
    }
    let distinct = record.statistics.distinctPrompts
    let count =
      switch distinct {
      case let distinct? where distinct < given:
        "over \(distinct) of \(given) prompts (equal ones count once, those that failed do not)"
      default: "over \(counted(given, "prompt"))"
      }
    let whole = "\(count), paths of the last token:"
    return [whole] + aligned([header] + rows)
  }

  private static func fixed(_ x: Double) -> String { String(format: "%.4f", x) }
}
