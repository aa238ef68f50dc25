import Alignment

/// The statistics of a run over its prompts: the mean of each scalar, and how well the mean is known.
///
/// The scalar of coupling is the mean over the pairs of a table (l ≠ l' across depth), then over a prompt's tables of the
/// same kind, then over prompts. The authors' own rule is not public; this one is a choice made here.
public struct StudyStatistics: Codable, Sendable {
  /// One for each kind of coupling and each reading of it.
  public var coupling: [CouplingStatistic]
  /// The line-shape score, growth and expodistance for each group of tokens, and the cosine of the linearised path.
  public var trajectory: [TrajectoryStatistic]

  /// The number of different prompts, to the token, that have results; null in records of earlier versions.
  @Nullable public var distinctPrompts: Int?

  /// The statistics of some prompts; `diagonal` says whether the pairs of a Jacobian with itself count.
  ///
  /// A prompt that was given several times is one observation: its copies say nothing about how prompts differ.
  public init(_ prompts: [PromptRecord], diagonal: DiagonalMode) {
    let alike = prompts.firstAlike
    coupling = CouplingStatistic.all(prompts, alike, diagonal)
    trajectory = TrajectoryStatistic.all(prompts, alike)
    distinctPrompts = Set(zip(prompts, alike).filter { $0.0.failed == nil }.map(\.1)).count
  }

  /// The coupling of this kind in this reading, if the run has it.
  public func coupling(_ kind: CouplingKind, _ setting: CouplingSetting) -> CouplingStatistic? {
    coupling.first { $0.kind == kind && $0.setting == setting }
  }

  /// A trajectory's number for these tokens, if the run has it.
  public func trajectory(
    _ quantity: TrajectoryStatistic.Quantity, _ tokens: TrajectoryStatistic.Tokens
  ) -> TrajectoryStatistic? {
    trajectory.first { $0.quantity == quantity && $0.tokens == tokens }
  }
}

/// A number for each prompt, and their mean.
public struct PromptMean: Codable, Sendable {
  /// One number per prompt, null where it is not defined.
  public let perPrompt: [Double?]
  /// The number of prompts that have the number, each counted once however often it was given.
  public let count: Int
  /// The mean; null if no prompt has the number.
  @Nullable public var mean: Double?
  /// The standard error of the mean over prompts; null for fewer than two.
  @Nullable public var standardError: Double?
  /// Student's interval of the mean over prompts, widened by the bounds; null for fewer than two.
  @Nullable public var interval: MeanInterval?
  /// An upper bound on the numerical error of the mean: the mean of `perPromptBound`; null if one of those is not known.
  @Nullable public var bound: Double?
  /// An upper bound on the error of each prompt's number, null where it is not known; null as a whole in records of earlier
  /// versions.
  @Nullable public var perPromptBound: [Double?]?

  /// The mean of one number per prompt, each with a bound on its error; `alike` gives equal prompts the same mark (`firstAlike`).
  /// Infinite numbers count as missing.
  public init(_ values: [Double?], bounds: [Double?]? = nil, alike: [Int] = []) {
    let finite = { (x: Double?) in x.flatMap { $0.isFinite ? $0 : nil } }
    perPrompt = values.map(finite)
    let errors = zip(perPrompt, bounds ?? []).map { $0 == nil ? nil : finite($1) }
    perPromptBound = bounds == nil ? nil : errors
    let known = Self.observations(
      perPrompt.enumerated().map { p, value in
        value.map { (value: $0, bound: p < errors.count ? errors[p] : nil) }
      }, alike)
    count = known.count
    let estimate = MeanEstimate(known.map(\.value))
    mean = estimate?.mean
    standardError = estimate?.standardError
    let open = known.compactMap(\.bound)
    let isBounded = open.count == known.count
    bound = isBounded ? MeanEstimate(open)?.mean : nil
    interval = estimate.flatMap { MeanInterval($0, bounds: isBounded ? open : []) }
  }

  private enum CodingKeys: String, CodingKey {
    case perPrompt, count, mean, standardError, interval, bound, perPromptBound
  }

  /// Reads a mean; without a bound its interval is recomputed, since earlier versions resampled prompts, which gives too short
  /// an interval for few of them.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    perPrompt = try values.decode([Double?].self, forKey: .perPrompt)
    count = try values.decode(Int.self, forKey: .count)
    mean = try values.decodeIfPresent(Double.self, forKey: .mean)
    standardError = try values.decodeIfPresent(Double.self, forKey: .standardError)
    bound = try values.decodeIfPresent(Double.self, forKey: .bound)
    perPromptBound = try values.decodeIfPresent([Double?].self, forKey: .perPromptBound)
    interval =
      bound != nil
      ? try values.decodeIfPresent(MeanInterval.self, forKey: .interval)
      : mean.flatMap {
        MeanInterval(MeanEstimate(count: count, mean: $0, standardError: standardError))
      }
  }

  /// The numbers of different prompts: for equal prompts the first number that is known.
  package static func observations<Value>(_ values: [Value?], _ alike: [Int]) -> [Value] {
    var seen: Set<Int> = []
    return values.enumerated().compactMap { p, value in
      // A file may have more numbers than prompts.
      guard let value, p >= alike.count || seen.insert(alike[p]).inserted else { return nil }
      return value
    }
  }
}

/// The coupling of one kind, read in one way, over prompts.
public struct CouplingStatistic: Sendable {
  /// What the tables compare.
  public let kind: CouplingKind
  /// How they are read.
  public let setting: CouplingSetting
  /// Whether the pairs of a Jacobian with itself count.
  public let diagonal: DiagonalMode
  /// The mean over prompts of each prompt's mean.
  public let value: PromptMean
  /// The mean of the null levels of all Jacobians; nil if none is known.
  public let null: Double?

  static func all(
    _ prompts: [PromptRecord], _ alike: [Int], _ diagonal: DiagonalMode
  ) -> [CouplingStatistic] {
    var keys: [Key] = []
    for table in prompts.flatMap(\.coupling) {
      let key = Key(kind: table.kind, setting: table.setting)
      if !keys.contains(key) { keys.append(key) }
    }
    return keys.map { key in
      let tables = prompts.map { prompt in
        prompt.coupling.filter { $0.kind == key.kind && $0.setting == key.setting }
      }
      var seen: Set<Int> = []
      let counted = zip(tables, alike).filter { !$0.isEmpty && seen.insert($1).inserted }
      let levels = counted.flatMap(\.0).compactMap { table in
        MeanEstimate((table.null ?? []).compactMap { $0 })?.mean
      }
      return CouplingStatistic(
        kind: key.kind, setting: key.setting, diagonal: diagonal,
        value: PromptMean(
          tables.map { $0.mean(diagonal: diagonal) },
          bounds: tables.map { $0.meanBound(diagonal: diagonal) }, alike: alike),
        null: MeanEstimate(levels)?.mean)
    }
  }

  private struct Key: Hashable {
    let kind: CouplingKind
    let setting: CouplingSetting
  }
}

extension CouplingStatistic: Codable {
  private enum CodingKeys: String, CodingKey {
    case kind, rank, sign, normalisation, form, score, diagonal, value, null
  }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    kind = try values.decode(CouplingKind.self, forKey: .kind)
    setting = try CouplingSetting(from: decoder)
    diagonal = try values.decode(DiagonalMode.self, forKey: .diagonal)
    value = try values.decode(PromptMean.self, forKey: .value)
    null = try values.decodeIfPresent(Double.self, forKey: .null)
  }

  /// Writes one object, with the setting's parts among its keys.
  public func encode(to encoder: any Encoder) throws {
    try setting.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(kind, forKey: .kind)
    try values.encode(diagonal, forKey: .diagonal)
    try values.encode(value, forKey: .value)
    try values.encode(null, forKey: .null)
  }
}

/// A number of the tokens' paths, over prompts.
public struct TrajectoryStatistic: Codable, Sendable {
  /// The quantity.
  public enum Quantity: String, Codable, Sendable, CaseIterable {
    /// L / ‖Σ unit steps‖.
    case lineShapeScore = "line-shape-score"
    /// The mean of ln(‖x^l‖ / ‖x^{l−1}‖) over blocks.
    case growth
    /// Var(a) / mean(a)².
    case expodistance
    /// cos((I + J^L) ⋯ (I + J¹) x⁰, x^L).
    case linearisedPathCosine = "linearised-path-cosine"
  }

  /// Whose paths.
  public enum Tokens: String, Codable, Sendable, CaseIterable {
    /// The last token's.
    case last
    /// The mean over all tokens but the first.
    case others
    /// The first token's, an outlier if it is a beginning-of-sequence token.
    case first
    /// The token that the Jacobians belong to.
    case selected
  }

  /// The quantity.
  public let quantity: Quantity
  /// Whose paths.
  public let tokens: Tokens
  /// The mean over prompts.
  public let value: PromptMean

  static func all(_ prompts: [PromptRecord], _ alike: [Int]) -> [TrajectoryStatistic] {
    let mean = { (value: (TrajectoryRecord) -> Double?) in
      PromptMean(prompts.map { $0.failed == nil ? value($0.trajectory) : nil }, alike: alike)
    }
    let perToken: [(Quantity, (TrajectoryRecord) -> [Double?])] = [
      (.lineShapeScore, \.lineShapeScore), (.growth, \.growth), (.expodistance, \.expodistance),
    ]
    let ofTokens = perToken.flatMap { quantity, values in
      let parts: [(Tokens, ([Double?]) -> Double?)] = [
        (.last, { $0.last ?? nil }), (.others, { TokenSummary($0).others }),
        (.first, { TokenSummary($0).first }),
      ]
      return parts.map { tokens, part in
        TrajectoryStatistic(
          quantity: quantity, tokens: tokens, value: mean { part(values($0)) })
      }
    }
    return ofTokens + [
      TrajectoryStatistic(
        quantity: .linearisedPathCosine, tokens: .selected,
        value: mean(\.linearisedPathCosine))
    ]
  }
}
