import Analysis

/// The data of a run of `triplets` that a report shows.
struct ReportedMaps {
  /// The prefix of its file names: `run-1`.
  let stem: String
  /// The displayed name: a user's text, which must be escaped wherever it is used.
  let label: String
  /// The run's record.
  let record: MapRunRecord
  /// The maps that are shown, each with its prompt, which is nil for an average over prompts.
  let maps: [(prompt: Int?, map: MapRecord)]

  /// The largest number of maps that get a figure of token norms and a table of read-outs.
  static let mostMaps = 6

  /// Throws `RunError.badRun` if arrays in the record have inconsistent lengths.
  init(_ path: String, number: Int) throws(RunError) {
    record = try MapRunRecord(folder: path)
    stem = "run-\(number)"
    label = plainText(record.head.model.name, limit: 60)
    maps = record.maps
    let fits = maps.allSatisfy { prompt, map in
      let sides = map.tokenNorms.map { [$0.left, $0.right] } ?? []
      return map.singularValues.count == map.residualNorms.count
        && prompt.map { record.prompts.indices.contains($0) } ?? true
        && sides.allSatisfy { side in
          side.count == map.singularValues.count && Set(side.map(\.count)).count == 1
        }
    }
    guard fits else {
      throw .badRun(path: path, reason: "result.json: arrays of a map have different lengths")
    }
  }

  /// `one prompt`, `4 prompts`, `the average over 4 prompts`.
  var mapsInWords: String {
    if maps.first?.prompt == nil, !maps.isEmpty {
      return
        "the average over \(counted(record.prompts.count - record.failures.count, "prompt"))"
    }
    return maps.count == 1 ? "one prompt" : "\(maps.count) prompts"
  }

  /// `prompt 2 of NAME`.
  func mapInWords(_ m: Int) -> String {
    maps[m].prompt.map { "prompt \($0 + 1) of \(label)" } ?? "the average of \(label)"
  }
}
