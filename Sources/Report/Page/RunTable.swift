import Alignment
import Analysis

/// A table with one row per run.
struct RunTable {
  /// The HTML of the table, which scrolls horizontally if it is too wide.
  let html: String

  init(_ runs: [ReportedRun]) {
    let columns = [
      "run", "family", "L", "d", "parameters", "prompts", "coupling", "null level",
      "line-shape score, last token", "other tokens",
    ]
    let rows = runs.map { run in
      let (m, value) = (run.record.model, run.coupling?.value)
      let error = value?.standardError.map { " ± \(short($0))" } ?? ""
      let name =
        "<a href=\"#\(run.stem)\"><bdi>\(escapedHTML(run.label))</bdi></a>"
      let cells = [
        plainText(m.family, limit: 20), "\(m.layers)", "\(m.width)", Self.parameters(m.parameters),
        Self.prompts(run.record),
        short(value?.mean) + error, short(run.coupling?.null),
        Self.mean(run.path(.lineShapeScore)), Self.mean(run.path(.lineShapeScore, .others)),
      ]
      return "<tr><td>\(runs.count > 1 ? name : "<bdi>\(escapedHTML(run.label))</bdi>")</td>"
        + cells.map { "<td>\(escapedHTML($0))</td>" }.joined() + "</tr>"
    }
    html = """
      <div class="table"><table>
      <thead><tr>\(columns.map { "<th scope=\"col\">\($0)</th>" }.joined())</tr></thead>
      <tbody>
      \(rows.joined(separator: "\n"))
      </tbody>
      </table></div>

      """
  }

  private static func mean(_ value: PromptMean?) -> String {
    short(value?.mean) + (value?.standardError.map { " ± \(short($0))" } ?? "")
  }

  /// `31, 1 failed, unfinished`
  private static func prompts(_ record: RunRecord) -> String {
    let failed = record.prompts.count { $0.failed != nil }
    return "\(record.prompts.count - failed)" + (failed > 0 ? ", \(failed) failed" : "")
      + (record.complete ? "" : ", unfinished")
  }

  /// `134.5 M`
  private static func parameters(_ n: Int) -> String {
    let units: [(Double, String)] = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")]
    guard let (size, name) = units.first(where: { Double(n) >= $0.0 }) else { return "\(n)" }
    let tenths = (Double(n) / size * 10).rounded() / 10
    return "\(tenths) \(name)"
  }
}
