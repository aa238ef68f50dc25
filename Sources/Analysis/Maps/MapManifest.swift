import Model

/// What decides the numbers of a run of `triplets`, written down before any of them.
package struct MapManifest: PromptManifest {
  /// Which command's.
  package private(set) var command = RunKind.triplets
  package let krylens: String
  package let model: ModelRecord
  /// Every option in force.
  package let settings: MapSettings
  package let prompts: [PromptEntry]
  package var computedWith: [ProcessorRecord]

  /// Of a run that is complete.
  package static func finished(in folder: String) -> MapManifest? {
    guard let record = try? MapRunRecord(folder: folder), record.head.complete else { return nil }
    return MapManifest(
      krylens: record.head.krylens, model: record.head.model, settings: record.head.settings,
      prompts: record.prompts.map(\.entry), computedWith: record.head.computedWith ?? [])
  }

  package func differences(
    from requested: MapManifest, isComplete: Bool
  ) throws -> [RecordDifference] {
    try RecordDifference.all([
      decisive(isComplete: isComplete), requested.decisive(isComplete: isComplete),
    ])
  }

  /// The settings that decide the numbers, the same for all ways of asking for the same ones.
  private struct Decisive: Encodable, Sendable {
    let settings: MapSettings
    let isComplete: Bool

    private enum CodingKeys: CodingKey { case randomInit, seed, readOut }

    func encode(to encoder: any Encoder) throws {
      try settings.map.encode(to: encoder)
      try settings.solution.encode(to: encoder)
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(settings.randomInit, forKey: .randomInit)
      try values.encode(settings.seed, forKey: .seed)
      // Of what is not finished tokens are read out at the end.
      if isComplete { try values.encode(settings.readOut, forKey: .readOut) }
    }
  }

  private func decisive(isComplete: Bool) -> Decisive {
    var settings = settings
    if let map = try? settings.map.map(in: model.layers) {
      settings.map.fromLayer = map.fromLayer
      settings.map.toLayer = MapEnd(map.to)
    }
    for token in [\MapSelection.fromToken, \.toToken]
    where settings.map[keyPath: token] == .indices([-1]) {
      settings.map[keyPath: token] = .last
    }
    settings.map.site = settings.map.partSite
    return Decisive(settings: settings, isComplete: isComplete)
  }
}

extension MapRunRecord {
  /// Reads the `result.json` of a folder. Throws `RunError.badRun`.
  package init(folder: String) throws(RunError) { self = try storedRecord(folder) }

  /// What is known of a run that has been begun in a folder and has not ended; nil if there is none.
  package static func begun(in folder: String) throws -> MapRunRecord? {
    guard let (manifest, units) = ResultFolder<MapManifest>.begun(in: folder) else { return nil }
    return try MapRunRecord(manifest, MapJournal(units), isComplete: false)
  }

  /// Of what a journal has, without read-outs.
  init(_ manifest: MapManifest, _ journal: MapJournal, isComplete: Bool) throws {
    self.init(
      head: manifest.head(isComplete: isComplete),
      prompts: manifest.prompts.map { MapPromptRecord($0) }, average: try journal.record(nil))
    for p in prompts.indices {
      prompts[p].entry.failed = try journal.failure(p)?.failure(
        number: p + 1, text: prompts[p].entry.text)
      prompts[p].map = try journal.record(p)
    }
  }
}
