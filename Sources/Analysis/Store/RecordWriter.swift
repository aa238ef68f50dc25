import Alignment
import Foundation

/// Writes `result.json` and the tables of a run prompt by prompt and table by table, so that memory grows neither with the
/// number of prompts nor with the size of a prompt's results.
///
/// What comes first in `result.json`, such as the peak memory, is known last, so the part with the prompts is collected in a
/// file of its own.
final class RecordWriter {
  private let folder: OutputFolder
  private let home: String?
  private let prompts, singularValues, coupling, trajectory: FileWriter
  private let diagonal: DiagonalMode
  /// What the statistics need of the prompts so far.
  private var condensed: [PromptRecord] = []

  /// Creates the files in `folder`; when finished they are moved to `home`, if that is given. Throws `RunError.cannotWrite`.
  init(_ folder: OutputFolder, into home: String? = nil, diagonal: DiagonalMode) throws(RunError) {
    (self.folder, self.home, self.diagonal) = (folder, home, diagonal)
    prompts = try FileWriter(folder, "prompts.json")
    singularValues = try FileWriter(folder, "singular_values.csv")
    coupling = try FileWriter(folder, "coupling.csv")
    trajectory = try FileWriter(folder, "trajectory.csv")
    try singularValues.write(RunTables.singularValuesHeader)
    try coupling.write(RunTables.couplingHeader)
    try trajectory.write(RunTables.trajectoryHeader)
  }

  /// The number of prompts written so far.
  var count: Int { condensed.count }

  /// Appends a prompt: its record without tables, and functions that make the tables one by one.
  func append(
    _ outline: PromptRecord, coupling tables: ((CouplingMatrix) throws -> Void) throws -> Void,
    overlap overlaps: ((OverlapRecord) throws -> Void) throws -> Void
  ) throws {
    let p = condensed.count
    for layer in outline.layers { try singularValues.write(RunTables.singularValues(p, layer)) }
    try trajectory.write(RunTables.trajectory(p, outline.trajectory))
    var summary = outline.condensed
    let pieces = try JSONTemplate(outline, lists: ["coupling", "overlap"]).pieces
    try prompts.write(p == 0 ? "\n    " : ",\n    ")
    try prompts.write(JSONTemplate.indented(pieces[0], by: 4))
    var list = JSONList(prompts, indentation: 8)
    try tables { table in
      for row in table.matrix.indices {
        try coupling.write(RunTables.coupling(p, table, row: row))
      }
      try list.append(table)
      summary.coupling.append(table.condensed(diagonal: diagonal))
    }
    try list.end()
    try prompts.write(JSONTemplate.indented(pieces[1], by: 4))
    list = JSONList(prompts, indentation: 8)
    try overlaps { try list.append($0) }
    try list.end()
    try prompts.write(JSONTemplate.indented(pieces[2], by: 4))
    condensed.append(summary)
  }

  /// Gives the tables their names and writes `result.json` last. It holds what `record` makes of the appended prompts, condensed
  /// to what the statistics read.
  ///
  /// Throws `RunError.cannotWrite`.
  func finish(_ record: ([PromptRecord]) throws -> RunRecord) throws -> RunRecord {
    for table in [singularValues, coupling, trajectory] { try table.finish(into: home) }
    let whole = try record(condensed)
    var head = whole
    head.prompts = []
    let pieces = try JSONTemplate(head, lists: ["prompts"]).pieces
    let result = try FileWriter(folder, "result.json")
    try result.write(pieces[0])
    try result.copy(prompts)
    prompts.discard()
    try result.write("\n  ")
    try result.write(pieces[1])
    try result.finish(into: home)
    return whole
  }
}

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

/// The elements of a list, written one by one between its brackets.
private struct JSONList {
  private let file: FileWriter
  private let indentation: Int
  private var isEmpty = true

  init(_ file: FileWriter, indentation: Int) { (self.file, self.indentation) = (file, indentation) }

  mutating func append(_ element: some Encodable) throws {
    try file.write((isEmpty ? "\n" : ",\n") + String(repeating: " ", count: indentation))
    try file.write(JSONTemplate.indented(try recordJSON(element), by: indentation))
    isEmpty = false
  }

  func end() throws {
    if !isEmpty { try file.write("\n" + String(repeating: " ", count: indentation - 2)) }
  }
}
