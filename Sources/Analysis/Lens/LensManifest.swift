/// What a fit is of: everything that decides its numbers, written down before any of them.
package struct LensManifest: FolderManifest, Sendable {
  /// The version that runs it.
  let krylens: String
  /// The model.
  let model: ModelRecord
  /// Every option in force.
  let settings: LensSettings
  /// The prompts; of a shard, its part of them.
  let prompts: [LensRecord.Prompt]
  /// The whole list.
  let promptList: PromptList
  /// What computed any of it, each kind once.
  var computedWith: [ProcessorRecord]

  /// Of a fit that has ended; nil where the folder holds none.
  package static func finished(in folder: String) -> LensManifest? {
    guard let record = try? LensRecord(folder: folder), record.complete else { return nil }
    return LensManifest(record)
  }

  init(
    krylens: String, model: ModelRecord, settings: LensSettings, prompts: [LensRecord.Prompt],
    promptList: PromptList, computedWith: [ProcessorRecord]
  ) {
    (self.krylens, self.model, self.settings) = (krylens, model, settings)
    (self.prompts, self.promptList, self.computedWith) = (prompts, promptList, computedWith)
  }

  init(_ record: LensRecord) {
    self.init(
      krylens: record.krylens, model: record.model, settings: record.settings,
      prompts: record.prompts, promptList: record.promptList, computedWith: record.computedWith)
  }

  /// The same prompts, in the same order: the sums go through them one after another.
  package func obstacle(to requested: LensManifest, isComplete: Bool) throws -> SettingMessage? {
    if let reason = try obstacleBesidesShard(to: requested) { return reason }
    let shards = [settings.shard, requested.settings.shard]
    guard shards[0] != shards[1] else { return nil }
    let names = shards.map { $0.map { "\($0.index)/\($0.count)" } ?? "null" }
    return RecordDifference(key: "shard", values: names).message
  }

  /// What keeps both from being parts of one lens.
  func obstacleBesidesShard(to other: LensManifest) throws -> SettingMessage? {
    if krylens != other.krylens {
      return "it was made by version \(krylens), and this is \(other.krylens)"
    }
    if model.fingerprint != other.model.fingerprint {
      return "its model has other weights or another configuration (\(model.source))"
    }
    let differences = try RecordDifference.all([decisive, other.decisive])
    if let first = differences.first {
      return differences.dropFirst().reduce(first.message) { "\($0), \($1.message)" }
    }
    guard promptList != other.promptList else { return nil }
    return
      "it has other prompts, \(promptList.count) and not \(other.promptList.count) or in another order"
  }

  /// The settings that decide the numbers, the same for all ways of asking for the same ones.
  private var decisive: Decisive {
    var fit = settings.fit
    fit.layers = fit.layers ?? Array(0..<model.layers)
    fit.rank = fit.rank ?? min(64, model.width)
    return Decisive(fit: fit, seed: settings.seed, randomInit: settings.randomInit)
  }

  private struct Decisive: Encodable, Sendable {
    let fit: LensFitSettings
    let seed: UInt64
    let randomInit: Bool

    private enum CodingKeys: String, CodingKey { case seed, randomInit }

    func encode(to encoder: any Encoder) throws {
      try fit.encode(to: encoder)
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(seed, forKey: .seed)
      try container.encode(randomInit, forKey: .randomInit)
    }
  }

  /// With all that has computed any of it.
  package func continued(by requested: LensManifest) -> LensManifest {
    var manifest = requested
    manifest.computedWith =
      computedWith + requested.computedWith.filter { !computedWith.contains($0) }
    return manifest
  }
}
