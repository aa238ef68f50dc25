import Alignment
import Foundation
import Weights

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
      let count = JSONList.rows(ofWidth: table.columns.count)
      for first in stride(from: 0, to: table.matrix.count, by: count) {
        let rows = Array(first..<min(first + count, table.matrix.count))
        for text in Engine.map(rows, { RunTables.coupling(p, table, row: $0) }) {
          try coupling.write(text)
        }
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
