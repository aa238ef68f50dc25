import Checkpoint
import Files
import Foundation
import LinearAlgebra

/// The result files of a `triplets` run.
struct MapResults {
  private let record: MapRunRecord
  private let journal: MapJournal

  init(_ record: MapRunRecord, _ journal: MapJournal) {
    (self.record, self.journal) = (record, journal)
  }

  /// Writes `triplets.safetensors`, `singular_values.csv`, and `result.json` last. Throws `RunError.cannotWrite`.
  func write(to folder: ResultFolder<MapManifest>) throws {
    let (arrays, table) = ("triplets.safetensors", "singular_values.csv")
    do {
      try writeArrays(to: folder.aside(arrays))
    } catch FileError.cannotWrite(_, let reason) {
      throw RunError.cannotWrite(path: folder.path, reason: reason)
    }
    try folder.write(Data(csv.utf8), aside: table)
    try folder.finish([arrays, table], result: try recordJSON(record))
  }

  /// Writes `p0.U` (k, outputs), `p0.V` (k, inputs), `p0.S` (k), or `average.U` and so on; rows are vectors, with one token
  /// after another.
  private func writeArrays(to path: String) throws {
    let entries = record.maps.flatMap { p, map in
      let (name, k) = (Self.name(p), map.singularValues.count)
      return [
        SafetensorsWriter.Entry(name: "\(name).U", shape: [k, map.shape[0]]),
        .init(name: "\(name).V", shape: [k, map.shape[1]]), .init(name: "\(name).S", shape: [k]),
      ]
    }
    let writer = try SafetensorsWriter(path, entries: entries)
    for (p, _) in record.maps {
      let t = try journal.triplets(p).triplets
      for part in [t.leftVectors.elements, t.rightVectors.elements, t.singularValues] {
        try writer.append(part.lazy.map { Float($0) })
      }
    }
    try writer.finish()
  }

  /// The prefix of the names of a prompt's arrays, or of the average's.
  static func name(_ p: Int?) -> String { p.map { "p\($0)" } ?? "average" }

  /// `singular_values.csv`: one row per singular value; the prompt is empty for an average.
  private var csv: String {
    var text = "prompt,from_layer,to_layer,index,singular_value,residual_norm\n"
    for (p, map) in record.maps {
      let head = "\(p.map(String.init) ?? ""),\(map.fromLayer),\(map.toLayer.text)"
      for (i, (s, r)) in zip(map.singularValues, map.residualNorms).enumerated() {
        text += "\(head),\(i + 1),\(s),\(r)\n"
      }
    }
    return text
  }
}
