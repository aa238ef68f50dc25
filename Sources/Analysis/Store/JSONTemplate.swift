import Alignment
import Foundation
import Weights

/// A value as JSON, split at its empty lists so that elements can be inserted.
struct JSONTemplate {
  /// The pieces, one more than the lists: each ends with the `[` of a list, and the next begins with its `]`.
  let pieces: [Data]

  /// Precondition: `lists` are keys of the value itself with empty lists, in alphabetical order.
  init(_ value: some Encodable, lists: [String]) throws {
    var rest = try recordJSON(value)[...]
    var pieces: [Data] = []
    for list in lists {
      // Line breaks inside strings are escaped, so only the value's own keys follow a line break and two spaces.
      guard let key = rest.range(of: Data("\n  \"\(list)\" : [".utf8)),
        let end = rest[key.upperBound...].firstIndex(of: UInt8(ascii: "]"))
      else { preconditionFailure("\(list) is not a list of the value") }
      pieces.append(Data(rest[..<key.upperBound]))
      rest = rest[end...]
    }
    self.pieces = pieces + [Data(rest)]
  }

  /// The JSON with every line but the first indented further; the empty line of an empty list stays empty.
  static func indented(_ json: Data, by spaces: Int) -> Data {
    let margin = [UInt8](repeating: UInt8(ascii: " "), count: spaces)
    var result = Data(capacity: json.count * 3 / 2)
    json.withUnsafeBytes { bytes in
      var start = 0
      for i in bytes.indices where bytes[i] == UInt8(ascii: "\n") {
        result.append(contentsOf: bytes[start...i])
        start = i + 1
        if start == bytes.count || bytes[start] != bytes[i] { result.append(contentsOf: margin) }
      }
      result.append(contentsOf: bytes[start...])
    }
    return result
  }
}

extension JSONTemplate {
  /// The text of rows in a list, without its brackets, as `recordJSON` writes them, but sooner: tables have most of a record's numbers.
  /// The brackets of rows are indented by `spaces`.
  ///
  /// Throws `EncodingError` if a number is not finite.
  static func rows(_ rows: [[Double?]], by spaces: Int) throws -> Data {
    let line = "\n" + String(repeating: " ", count: spaces)
    var text: [UInt8] = []
    text.reserveCapacity(rows.reduce(0) { $0 + ($1.count + 2) * (spaces + 24) })
    var isFirstRow = true
    for row in rows {
      if !isFirstRow { text.append(UInt8(ascii: ",")) }
      isFirstRow = false
      text.append(contentsOf: line.utf8)
      text.append(UInt8(ascii: "["))
      if row.isEmpty { text.append(UInt8(ascii: "\n")) }
      for (i, number) in row.enumerated() {
        if i > 0 { text.append(UInt8(ascii: ",")) }
        text.append(contentsOf: line.utf8)
        text.append(contentsOf: "  ".utf8)
        try text.append(contentsOf: word(number).utf8)
      }
      text.append(contentsOf: line.utf8)
      text.append(UInt8(ascii: "]"))
    }
    return Data(text)
  }

  private static func word(_ number: Double?) throws -> Substring {
    guard let number else { return "null" }
    guard number.isFinite else {
      throw EncodingError.invalidValue(
        number, .init(codingPath: [], debugDescription: "\(number) has no place in JSON"))
    }
    let digits = number.description
    return digits.hasSuffix(".0") ? digits.dropLast(2) : digits[...]
  }
}

/// A value whose tables are written a few rows at a time, so that the text of a whole table is never in memory.
protocol TabulatedRecord {
  associatedtype Outline: Encodable
  /// The value with its tables empty.
  var outline: Outline { get }
  /// The known tables in the alphabetical order of their keys as JSON.
  var tables: [(key: String, rows: [[Double?]])] { get }
}

extension CouplingMatrix: TabulatedRecord {
  var tables: [(key: String, rows: [[Double?]])] {
    [
      ("bound", bound), ("invariant", invariant), ("invariant_bound", invariantBound),
      ("matrix", matrix),
    ].compactMap { key, rows in rows.map { (key, $0) } }
  }
}

extension OverlapRecord: TabulatedRecord {
  var outline: OverlapRecord {
    var outline = self
    (outline.left, outline.right, outline.bound) = ([], [], bound.map { _ in [] })
    return outline
  }

  var tables: [(key: String, rows: [[Double?]])] {
    [("bound", bound), ("left", left), ("right", right)].compactMap { key, rows in
      rows.map { (key, $0) }
    }
  }
}

/// The elements of a list, written one by one between its brackets.
struct JSONList {
  private let file: FileWriter
  private let indentation: Int
  private var isEmpty = true

  /// The most numbers that are encoded together.
  static let most = 1 << 12

  /// The number of rows that are encoded together, of this many numbers each.
  static func rows(ofWidth width: Int) -> Int { max(1, most / max(1, width)) }

  init(_ file: FileWriter, indentation: Int) { (self.file, self.indentation) = (file, indentation) }

  mutating func append(_ element: some TabulatedRecord) throws {
    let tables = element.tables
    let pieces = try JSONTemplate(element.outline, lists: tables.map(\.key)).pieces
    try file.write((isEmpty ? "\n" : ",\n") + String(repeating: " ", count: indentation))
    isEmpty = false
    for (piece, table) in zip(pieces, tables) {
      try file.write(JSONTemplate.indented(piece, by: indentation))
      var list = JSONList(file, indentation: indentation + 4)
      let count = Self.rows(ofWidth: table.rows.first?.count ?? 0)
      for first in stride(from: 0, to: table.rows.count, by: count) {
        try list.append(rows: table.rows[first..<min(first + count, table.rows.count)])
      }
      try list.end()
    }
    try file.write(JSONTemplate.indented(pieces[tables.count], by: indentation))
  }

  /// Appends rows, encoded by all threads.
  private mutating func append(rows: ArraySlice<[Double?]>) throws {
    let count = (rows.count + Engine.currentThreads - 1) / Engine.currentThreads
    let parts = stride(from: rows.startIndex, to: rows.endIndex, by: count).map {
      Array(rows[$0..<min($0 + count, rows.endIndex)])
    }
    let margin = indentation
    for json in try Engine.map(parts, { try JSONTemplate.rows($0, by: margin) }) {
      if !isEmpty { try file.write(",") }
      try file.write(json)
      isEmpty = false
    }
  }

  func end() throws {
    if !isEmpty { try file.write("\n" + String(repeating: " ", count: indentation - 2)) }
  }
}
