import Model

/// Everything that determines the numbers of a `triplets` run, written before any of them is computed.
package struct MapManifest: PromptManifest {
  /// The command that makes such runs.
  package private(set) var command = RunKind.triplets
  package let krylens: String
  package let model: ModelRecord
  /// All settings in effect.
  package let settings: MapSettings
  package let prompts: [PromptEntry]
  package var computedWith: [ProcessorRecord]
  /// The block size that all of it is solved with, given or chosen by the first processor; nil for the solver's own choice.
  package var blockSize: Int?

  /// The manifest of a complete run.
  package static func finished(in folder: String) -> MapManifest? {
    guard let record = try? MapRunRecord(folder: folder), record.head.complete else { return nil }
    return MapManifest(
      krylens: record.head.krylens, model: record.head.model, settings: record.head.settings,
      prompts: record.prompts.map(\.entry), computedWith: record.head.computedWith ?? [])
  }

  package mutating func follow(_ earlier: MapManifest) { blockSize = earlier.blockSize }

  package func differences(
    from requested: MapManifest, isComplete: Bool
  ) throws -> [RecordDifference] {
    try RecordDifference.all([
      decisive(isComplete: isComplete), requested.decisive(isComplete: isComplete),
    ])
  }

  /// The settings that the numbers depend on, in one form for all requests that mean the same.
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
      // In an unfinished run, tokens are still to be read out.
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

  /// What is known about an unfinished run in a folder; nil if there is no such run.
  package static func begun(in folder: String) throws -> MapRunRecord? {
    guard let (manifest, units) = ResultFolder<MapManifest>.begun(in: folder) else { return nil }
    return try MapRunRecord(manifest, MapJournal(units), isComplete: false)
  }

  /// The record of what a journal holds, without read-outs.
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
