import Analysis
import Files
import Foundation

/// The text right-aligned in a width counted in characters, which `String(format:)` does not do.
func padded(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(0, width - text.count)) + text
}

/// The greatest width of a line in a table.
let tableWidth = 80

/// The lines of a table: its first column left-aligned, the others right-aligned, each as wide as needed, two spaces apart.
///
/// A cell of the first column that does not fit within `tableWidth` gets a line of its own.
func aligned(_ rows: [[String]]) -> [String] {
  let count = rows.map(\.count).max() ?? 0
  let widths = (0..<count).map { c in rows.map { c < $0.count ? $0[c].count : 0 }.max() ?? 0 }
  let room = max(0, tableWidth - widths.dropFirst().reduce(0) { $0 + $1 + 2 })
  let first = rows.compactMap { $0.first?.count }.filter { $0 <= room }.max() ?? 0
  return rows.flatMap { row in
    guard let name = row.first else { return [""] }
    // Empty cells at the end of a row are not padded.
    let filled = row.lastIndex { !$0.isEmpty } ?? 0
    let cells = zip(row, widths).prefix(filled + 1).dropFirst().map { "  " + padded($0, $1) }
      .joined()
    guard name.count > room else {
      let line = name + String(repeating: " ", count: first - name.count) + cells
      return [cells.isEmpty ? name : line]
    }
    return [name] + (cells.isEmpty ? [] : [String(repeating: " ", count: first) + cells])
  }
}

/// The text in lines of at most `width` characters, broken between words; all but the first are indented.
func wrapped(_ text: String, _ width: Int = 80, indent: Int = 2) -> [String] {
  var lines: [String] = []
  for word in text.split(separator: " ", omittingEmptySubsequences: false) {
    if let last = lines.last, last.count + 1 + word.count <= width {
      lines[lines.count - 1] += " \(word)"
    } else {
      lines.append(lines.isEmpty ? String(word) : String(repeating: " ", count: indent) + word)
    }
  }
  return lines
}

/// A count in millions: 134.5 M.
func millions(_ n: Int) -> String {
  n >= 1_000_000 ? String(format: "%.1f M", Double(n) / 1e6) : "\(n)"
}

/// A count and its noun: 1 prompt, 2 prompts.
func counted(_ n: Int, _ noun: String) -> String { "\(n) \(noun)\(n == 1 ? "" : "s")" }

/// A token in words: `token 9 " is"`, or `token 9` if the record does not have its text.
func tokenName(_ token: Int, of tokens: [String?]?) -> String {
  guard let tokens, tokens.indices.contains(token), let text = tokens[token] else {
    return "token \(token)"
  }
  return "token \(token) \(quoted(TokenText.read(text), limit: 20))"
}

/// The number with four significant digits.
func short(_ x: Double) -> String { String(format: "%.4g", x) }

/// A p value, `p = 0.013`, or a bound if it underflows.
func probability(_ p: Double) -> String {
  p > 0 ? String(format: "p = %.2g", p) : "p < 1e-300"
}

/// The first lines of every run's tables.
func modelLines(_ m: ModelRecord) -> [String] {
  [
    "\(escaped(m.name)): \(escaped(m.family)), \(m.layers) blocks, width \(m.width), "
      + "\(millions(m.parameters)) parameters",
    "stored as \(m.storedTypes.map { escaped($0, limit: 100) }.joined(separator: ", "))",
  ]
}

/// The last line of every run's tables.
func memoryLine(_ resident: Int, _ anonymous: Int) -> String {
  let megabytes = { (bytes: Int) in String(format: "%.0f MB", Double(bytes) / 1e6) }
  return "peak memory \(megabytes(resident)), \(megabytes(anonymous)) of it besides mapped weights"
}

/// The lines that mark the tables of an unfinished run.
func unfinishedLines(_ prompts: Int, of count: Int, folder: String) -> [String] {
  wrapped(
    "not finished: \(prompts) of \(counted(count, "prompt")) \(prompts == 1 ? "is" : "are") done, and this is what is known so far; "
      + "the same command with --output \(folder) resumes the run")
}
