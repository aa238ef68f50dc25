import Analysis

/// A run of `triplets` as the report shows it.
struct ReportedMaps {
  /// How its files begin: `run-1`.
  let stem: String
  /// The name shown: a user's text, to be escaped wherever it is used.
  let label: String
  /// What was found.
  let record: MapRunRecord
  /// The maps that are shown, each with its prompt; nil for the average.
  let maps: [(prompt: Int?, map: MapRecord)]

  /// Maps that are drawn token by token, and read out in tables, at most.
  static let mostMaps = 6

  /// Throws `RunError.badRun` when the record's numbers do not fit each other.
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
      throw .badRun(path: path, reason: "result.json: the numbers of a map are not of one length")
    }
  }

  /// `the map of a prompt`, `the maps of 4 prompts`, `the average over 4 prompts`.
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
