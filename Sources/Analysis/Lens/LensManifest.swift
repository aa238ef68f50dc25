import Alignment

/// Everything that determines the numbers of a fit, written before any of them is computed.
package struct LensManifest: ModelManifest {
  /// The command that makes such folders.
  private(set) var command = RunKind.lens
  /// The version that runs it.
  package let krylens: String
  /// The model.
  package let model: ModelRecord
  /// All settings in effect.
  let settings: LensSettings
  /// The prompts; for a shard, its part of them.
  let prompts: [LensRecord.Prompt]
  /// The whole list of prompts.
  let promptList: PromptList
  /// The kinds of processor that computed any of it, each once.
  package var computedWith: [ProcessorRecord]

  /// The manifest of a finished fit; nil if the folder holds none.
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

  /// Why a fit cannot resume this one; the prompts must be the same, in the same order, since the sums go through them in turn.
  package func obstacle(to requested: LensManifest, isComplete: Bool) throws -> SettingMessage? {
    if let reason = try obstacleBesidesShard(to: requested) { return reason }
    let shards = [settings.shard, requested.settings.shard]
    guard shards[0] != shards[1] else { return nil }
    let names = shards.map { $0.map { "\($0.index)/\($0.count)" } ?? "null" }
    return RecordDifference(key: "shard", values: names).message
  }

  /// Why two fits cannot be parts of one lens.
  func obstacleBesidesShard(to other: LensManifest) throws -> SettingMessage? {
    if let reason = try obstacleBesidesPrompts(to: other, isComplete: true) { return reason }
    guard promptList != other.promptList else { return nil }
    return
      "its prompts differ: there are \(promptList.count) instead of \(other.promptList.count), or they are in another order"
  }

  package func differences(
    from requested: LensManifest, isComplete: Bool
  ) throws -> [RecordDifference] {
    try RecordDifference.all([decisive, requested.decisive])
  }

  /// The settings that the numbers depend on, in one form for all requests that mean the same.
  private var decisive: Decisive {
    var fit = settings.fit
    fit.layers = fit.layers ?? Array(0..<model.layers)
    fit.rank = rank
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

  /// The number of triplets kept per Jacobian.
  var rank: Int { min(settings.rank ?? 64, model.width) }
}

extension LensRecord {
  /// The record of what a manifest says and was measured, without layers, for the sums' prompts, the first of the manifest's.
  init(_ manifest: LensManifest, _ sums: LensSums?, _ cost: LensCost, isComplete: Bool) {
    self.init(
      krylens: manifest.krylens, command: manifest.command.rawValue, complete: isComplete,
      model: manifest.model, settings: manifest.settings,
      target: Target(layer: manifest.model.layers),
      prompts: Array(manifest.prompts.prefix(sums?.prompts ?? 0)),
      promptList: manifest.promptList, positions: sums?.positions ?? 0, layers: [],
      applications: cost.applications, passes: cost.passes,
      seconds: Seconds(total: 0, load: 0, range: cost.rangeSeconds, fit: cost.fitSeconds),
      computedWith: manifest.computedWith, peakMemoryBytes: 0, peakPrivateBytes: 0)
  }

  /// The lens of the finished prompts of an unfinished fit in a folder; nil if there is no such fit.
  package static func begun(in folder: String) throws -> LensRecord? {
    guard let (manifest, units) = ResultFolder<LensManifest>.begun(in: folder) else { return nil }
    let kept = try units.unit("sums").flatMap(LensSumsFile.init)
    var record = LensRecord(manifest, kept?.fit.sums, kept?.cost ?? LensCost(), isComplete: false)
    guard let fit = kept?.fit, fit.sums.prompts > 0 else { return record }
    record.layers = try fit.boundaries.indices.map {
      try fit.recorded(
        $0, fit.layer(fit.sums.mean($0), rank: manifest.rank), isDense: manifest.settings.dense)
    }
    return record
  }

  /// The number of prompts to fit on; for a shard, of its part of the list.
  package var wantedPrompts: Int {
    settings.shard?.range(of: promptList.count).count ?? promptList.count
  }
}
