import Studies
import Files
import Analysis
import Checkpoint
import Foundation
import SwiftCSV

/// A file of scores: CSV in UTF-8 with a header line, then one model per line; the first column is `model`.
enum ScoreFile {
  /// Reads one column; empty cells are models without a score. Quotes, CR LF, a byte order mark and empty lines are allowed.
  ///
  /// Throws `FileError` for a file that cannot be read, `OptionError` for a column that is not there, and
  /// `RunError.badTable` for anything else that is wrong, with its line.
  static func read(_ path: String, column name: String) throws -> ScoreColumn {
    let rows = try rows(of: path)
    let failure = { (line: Int, reason: String) in
      RunError.badTable(path: escaped(path, limit: 100), line: line, reason: reason)
    }
    guard let header = rows.first else {
      throw failure(1, "no header line; begin with model and the names of the scores")
    }
    guard header.cells[0] == "model" else {
      throw failure(
        header.line,
        "the first column is \(quoted(header.cells[0])); it must be model, and commas must separate the columns"
      )
    }
    let matches = header.cells.indices.dropFirst().filter { header.cells[$0] == name }
    guard let column = matches.first else {
      let names = header.cells.dropFirst().map { escaped($0, limit: 100) }.joined(separator: ", ")
      throw OptionError(
        option: "--score", value: escaped(name, limit: 100),
        reason:
          "\(escaped(path, limit: 100)) has no such column; it has \(names.isEmpty ? "none" : names)"
      )
    }
    guard matches.count == 1 else {
      throw failure(header.line, "two columns are named \(escaped(name, limit: 100)); rename one")
    }
    var (scores, lines): ([String: Double?], [String: Int]) = ([:], [:])
    for row in rows.dropFirst() {
      guard row.cells.count == header.cells.count else {
        throw failure(
          row.line,
          "\(row.cells.count) cells, but \(header.cells.count) columns are named; put cells with commas in quotes"
        )
      }
      let (model, cell) = (row.cells[0], row.cells[column])
      guard !model.isEmpty else { throw failure(row.line, "column model is empty; name the model") }
      if let first = lines.updateValue(row.line, forKey: model) {
        throw failure(
          row.line,
          "model \(escaped(model, limit: 100)) is already in line \(first); remove one of the two"
        )
      }
      let score = Double(cell)
      guard cell.isEmpty || score?.isFinite == true else {
        throw failure(
          row.line,
          "column \(escaped(name, limit: 100)) holds \(quoted(cell)), which is not a number; leave the cell empty for a missing score"
        )
      }
      scores.updateValue(score, forKey: model)
    }
    return ScoreColumn(name: name, source: path, scores: scores)
  }

  /// The non-empty rows, each with the number of the line where it begins.
  private static func rows(of path: String) throws -> [(line: Int, cells: [String])] {
    let text = try text(of: path)
    var (rows, line): ([(line: Int, cells: [String])], Int) = ([], 1)
    do {
      // The parser drops an empty last cell that no line break follows.
      let table = try EnumeratedCSV(
        string: text + "\n", delimiter: .comma, loadColumns: false, rowLimit: 0)
      try table.enumerateAsArray(startAt: 0, rowLimit: nil) { cells in
        if cells != [""] {
          rows.append((line, cells.map { $0.trimmingCharacters(in: .whitespaces) }))
        }
        line += 1 + cells.reduce(0) { $0 + $1.count(where: \.isNewline) }
      }
    } catch is CSVParseError {
      throw unpairedQuote(path, line)
    }
    // It also accepts quotes that are never closed.
    guard text.count(where: { $0 == "\"" }) % 2 == 0 else {
      throw unpairedQuote(path, rows.last?.line ?? 1)
    }
    return rows
  }

  private static func unpairedQuote(_ path: String, _ line: Int) -> RunError {
    .badTable(
      path: escaped(path, limit: 100), line: line,
      reason:
        "an unpaired quote; put the whole cell in quotes, and double the quotes inside it")
  }

  private static func text(of path: String) throws -> String {
    let file = try MappedFile(path)
    let bytes = try file.copy(0..<file.count)
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    let line = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0
    throw RunError.badTable(
      path: escaped(path, limit: 100), line: line + 1,
      reason: "not UTF-8; save the file in that encoding")
  }
}
