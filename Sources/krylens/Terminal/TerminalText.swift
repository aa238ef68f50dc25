import Analysis
import Files
import Foundation

/// Right-aligned; counts characters, which `String(format:)` does not.
func padded(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(0, width - text.count)) + text
}

/// The widest line of a table.
let tableWidth = 80

/// Lines of a table: its first column to the left, the others to the right, each as wide as it has to be, two spaces apart.
///
/// A cell of the first column for which that leaves no room within `tableWidth` has a line to itself.
func aligned(_ rows: [[String]]) -> [String] {
  let count = rows.map(\.count).max() ?? 0
  let widths = (0..<count).map { c in rows.map { c < $0.count ? $0[c].count : 0 }.max() ?? 0 }
  let room = max(0, tableWidth - widths.dropFirst().reduce(0) { $0 + $1 + 2 })
  let first = rows.compactMap { $0.first?.count }.filter { $0 <= room }.max() ?? 0
  return rows.flatMap { row in
    guard let name = row.first else { return [""] }
    // Nothing stands after the last cell that says something.
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

/// Lines of at most `width` characters, broken between words; all but the first are indented.
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

/// 134.5 M
func millions(_ n: Int) -> String {
  n >= 1_000_000 ? String(format: "%.1f M", Double(n) / 1e6) : "\(n)"
}

/// 1 prompt, 2 prompts.
func counted(_ n: Int, _ noun: String) -> String { "\(n) \(noun)\(n == 1 ? "" : "s")" }

/// `token 9 " is"`, or `token 9` where the record has no text of it.
func tokenName(_ token: Int, of tokens: [String?]?) -> String {
  guard let tokens, tokens.indices.contains(token), let text = tokens[token] else {
    return "token \(token)"
  }
  return "token \(token) \(quoted(TokenText.read(text), limit: 20))"
}

/// Four significant digits.
func short(_ x: Double) -> String { String(format: "%.4g", x) }

/// `p = 0.013`, or a bound where Double has no smaller number.
func probability(_ p: Double) -> String {
  p > 0 ? String(format: "p = %.2g", p) : "p < 1e-300"
}

/// What every table of a run begins with.
func modelLines(_ m: ModelRecord) -> [String] {
  [
    "\(escaped(m.name)): \(escaped(m.family)), \(m.layers) blocks, width \(m.width), "
      + "\(millions(m.parameters)) parameters",
    "stored as \(m.storedTypes.map { escaped($0, limit: 100) }.joined(separator: ", "))",
  ]
}

/// And what it ends with.
func memoryLine(_ resident: Int, _ anonymous: Int) -> String {
  let megabytes = { (bytes: Int) in String(format: "%.0f MB", Double(bytes) / 1e6) }
  return "peak memory \(megabytes(resident)), of it \(megabytes(anonymous)) beyond mapped weights"
}

/// What the tables of a run that has not ended say of it.
func unfinishedLines(_ prompts: Int, of count: Int, folder: String) -> [String] {
  wrapped(
    "not finished: \(prompts) of \(counted(count, "prompt")) \(prompts == 1 ? "is" : "are") done, and this is what is known so far; "
      + "the same command with --output \(folder) goes on from there")
}
