import Model

/// The settings of a fit of averaged Jacobians.
@dynamicMemberLookup
public struct LensSettings: Codable, Sendable, Equatable {
  /// The settings that all commands on a model share.
  public var common: ModelSettings
  /// The settings of the fit.
  public var fit = LensFitSettings()
  /// The part of the prompts that is run; nil for all.
  @Nullable public var shard: Shard?

  /// The default settings for a model.
  public init(_ common: ModelSettings) { self.common = common }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    common = try ModelSettings(from: decoder)
    fit = try LensFitSettings(from: decoder)
    let container = try decoder.container(keyedBy: CodingKeys.self)
    _shard = try container.decode(Nullable<Shard>.self, forKey: .shard)
  }

  private enum CodingKeys: String, CodingKey { case shard }

  /// Writes one object with the members of all parts.
  public func encode(to encoder: any Encoder) throws {
    try common.encode(to: encoder)
    try fit.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(_shard, forKey: .shard)
  }

  /// A member of `common`.
  public subscript<Value>(dynamicMember path: WritableKeyPath<ModelSettings, Value>) -> Value {
    get { common[keyPath: path] }
    set { common[keyPath: path] = newValue }
  }

  /// A member of `fit`.
  public subscript<Value>(dynamicMember path: WritableKeyPath<LensFitSettings, Value>) -> Value {
    get { fit[keyPath: path] }
    set { fit[keyPath: path] = newValue }
  }
}

/// The settings that say which averaged Jacobians are fitted, and how.
public struct LensFitSettings: Codable, Sendable, Equatable {
  /// Source boundaries, counted from 0; nil for all before the last.
  @Nullable public var layers: [Int]?
  /// The number of source positions left out at the beginning of each prompt.
  public var skip = 0
  /// The number of triplets kept per Jacobian; nil for 64, or the width if that is less.
  @Nullable public var rank: Int?
  /// Whether the Jacobians are formed in full.
  public var dense = false
  /// The number of range samples beyond `rank`.
  public var oversampling = 8
  /// The number of directions in which the error is measured.
  public var probes = 8
  /// The number of prompts on which the ranges are sampled; nil for a fifth of them.
  @Nullable public var rangePrompts: Int?

  /// The default settings.
  public init() {}
}

/// The settings of a fit, checked against a model and its prompts.
struct ResolvedLens {
  /// Source boundaries, ascending.
  let boundaries: [Int]
  /// The number of source positions of each prompt.
  let positions: [Int]
  let rank: Int
  /// The number of range samples; 0 if the basis is the whole space.
  let samples: Int
  let probes: Int
  /// The prompts on which the ranges are sampled, spread evenly.
  let rangePrompts: [Int]

  /// The number of directions in which every prompt is measured.
  func rows(width: Int) -> Int { samples == 0 ? width : samples + probes }

  /// Checks the settings. Throws `RunError.badSetting`.
  init(
    _ s: LensSettings, _ model: ModelDescription, lengths: [Int], labels: [PromptLabel]
  ) throws(RunError) {
    let (L, d) = (model.layers, model.width)
    let boundaries = s.layers ?? Array(0..<L)
    if let bad = boundaries.first(where: { !(0..<L).contains($0) }) {
      throw .badSetting(
        .layers, value: "\(bad)",
        reason:
          "must be from 0 to \(L - 1): a lens leads from the boundary after that many blocks to "
          + "the boundary after all \(L)")
    }
    guard !boundaries.isEmpty else {
      throw .badSetting(.layers, reason: "names none; give at least one")
    }
    if let rank = s.rank, !(1...d).contains(rank) {
      throw .badSetting(
        .rank, value: "\(rank)", reason: "must be from 1 to the model's width, \(d)")
    }
    for (key, value, least) in [
      (SettingKey.skip, s.skip, 0), (.oversampling, s.oversampling, 0), (.probes, s.probes, 1),
      (.rangePrompts, s.rangePrompts ?? 1, 1),
    ] where value < least || value > 1 << 20 {
      throw .badSetting(key, value: "\(value)", reason: "must be from \(least) to \(1 << 20)")
    }
    for (length, label) in zip(lengths, labels) where length <= s.skip {
      throw .badSetting(
        .skip, value: "\(s.skip)",
        reason:
          "leaves none of the \(length) tokens of \(label); skip fewer, or leave that prompt out")
    }
    self.boundaries = boundaries
    positions = lengths.map { $0 - s.skip }
    rank = min(s.rank ?? 64, d)
    samples = s.dense || rank + s.oversampling >= d ? 0 : rank + s.oversampling
    probes = s.probes
    let count = min(s.rangePrompts ?? (lengths.count + 4) / 5, lengths.count)
    rangePrompts = (0..<count).map { $0 * lengths.count / count }
  }
}
