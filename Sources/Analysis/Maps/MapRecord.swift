import Alignment
import LinearAlgebra
import Model

/// Everything `triplets` found, as it stands in `result.json` (keys in snake case; missing numbers are `null`).
public struct MapRunRecord: Codable, Sendable {
  /// How it came about.
  public var head: RecordHead<MapSettings>
  /// One a prompt, in the order given.
  public var prompts: [MapPromptRecord]
  /// Of the prompts' average, if that was asked for; null otherwise.
  @Nullable public var average: MapRecord?

  private enum CodingKeys: CodingKey { case prompts, average }

  init(head: RecordHead<MapSettings>, prompts: [MapPromptRecord], average: MapRecord?) {
    (self.head, self.prompts, self.average) = (head, prompts, average)
  }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    head = try RecordHead(from: decoder)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    prompts = try values.decode([MapPromptRecord].self, forKey: .prompts)
    _average = try values.decode(Nullable<MapRecord>.self, forKey: .average)
  }

  /// One object with the members of all parts.
  public func encode(to encoder: any Encoder) throws {
    try head.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(prompts, forKey: .prompts)
    try values.encode(_average, forKey: .average)
  }

  /// The prompts without results, each with the reason.
  public var failures: [PromptFailure] { prompts.compactMap(\.entry.failed) }

  /// What was found: of every prompt that did not fail, by its position, or of the average, by nil.
  public var maps: [(prompt: Int?, map: MapRecord)] {
    average.map { [(nil, $0)] }
      ?? prompts.enumerated().compactMap { p, prompt in prompt.map.map { (p, $0) } }
  }
}

/// What was found on one prompt.
public struct MapPromptRecord: Codable, Sendable {
  /// The prompt.
  public var entry: PromptEntry
  /// The triplets of its map; null of one that failed, and where the average was asked for.
  @Nullable public var map: MapRecord?
  /// Of a prompt that is averaged the input tokens, from 0.
  @Nullable public var fromTokens: [Int]?
  /// Likewise the output tokens.
  @Nullable public var toTokens: [Int]?

  private enum CodingKeys: CodingKey { case map, fromTokens, toTokens }

  init(_ entry: PromptEntry) { self.entry = entry }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    entry = try PromptEntry(from: decoder)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    _map = try values.decode(Nullable<MapRecord>.self, forKey: .map)
    _fromTokens = try values.decode(Nullable<[Int]>.self, forKey: .fromTokens)
    _toTokens = try values.decode(Nullable<[Int]>.self, forKey: .toTokens)
  }

  /// One object with the members of all parts.
  public func encode(to encoder: any Encoder) throws {
    try entry.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(_map, forKey: .map)
    try values.encode(_fromTokens, forKey: .fromTokens)
    try values.encode(_toTokens, forKey: .toTokens)
  }
}

/// The triplets of one map, without their vectors.
public struct MapRecord: Codable, Sendable {
  /// The boundary it begins at.
  public var fromLayer: Int
  /// Where it ends.
  public var toLayer: MapEnd
  /// The two ids whose difference of logits is the output; null of all other maps.
  @Nullable public var logits: [Int]?
  /// The input tokens, from 0. Of an average whose prompts differ in them they are counted from the end, negative, and
  /// null if they differ then too.
  @Nullable public var fromTokens: [Int]?
  /// Likewise the output tokens.
  @Nullable public var toTokens: [Int]?
  /// Whether one input is added at every source token.
  public var tied: Bool
  /// What became of several output tokens.
  public var reduce: JacobianMap.Reduction
  /// Which part of the one block.
  public var site: JacobianSite
  /// The head, from 0, if it is of one.
  @Nullable public var head: Int?
  /// The expert, from 0, if it is of one.
  @Nullable public var expert: Int?
  /// What was held constant besides other tokens.
  public var linearization: LinearizationKind
  /// The way through several blocks.
  public var path: JacobianMap.Path
  /// Whether the identity was subtracted.
  public var identitySubtracted: Bool
  /// Outputs and inputs.
  public var shape: [Int]
  /// σ₁ ≥ σ₂ ≥ ….
  public var singularValues: [Double]
  /// Measured, one per triplet.
  public var residualNorms: [Double]
  /// Whether all are within tolerance · σ₁.
  public var converged: Bool
  /// What the solver says otherwise.
  @Nullable public var remedy: String?
  /// (σₖ − σₖ₊₁) / σ₁: where small, single vectors mean little.
  @Nullable public var relativeGaps: [Double]?
  /// The solver that answered.
  public var solver: String
  /// Vectors.
  public var applications: LayerRecord.Applications
  /// Readings of the weights.
  public var passes: Int
  /// Of the solve.
  public var seconds: Double
  /// Which products measured the residual norms; null in records of earlier versions, which know single precision only.
  @Nullable public var precision: ProductPrecision?
  /// How far the operator that was applied is from the map, relative to σ₁; null where it was not measured.
  @Nullable public var noise: OperatorNoise?
  /// |σ̂ₖ − σₖ| of each value at most, the operator's noise included where that is known; null in records of earlier versions, as
  /// are the following ones.
  @Nullable public var bound: [Double]?
  /// The sine of the angle between each found and true vector at most, left or right; 1 where nothing is known.
  @Nullable public var vectorBound: [Double]?
  /// The same of the space of all, ‖sin Θ‖_F.
  @Nullable public var subspaceBound: Double?
  /// What is known of values that were not found; null where the solver did not look.
  @Nullable public var certificate: Certificate?
  /// First and last rank, from 1, of every cluster: values so close that their single vectors are not determined. The last
  /// one may end beyond the values asked for.
  @Nullable public var clusters: [[Int]]?
  /// Triplets beyond those asked for; null where there are none.
  @Nullable public var further: FurtherRecord?
  /// The norm of each token's part of every vector; null where neither side has several tokens.
  @Nullable public var tokenNorms: TokenNorms?
  /// What the vectors favour and disfavour, if that was asked for.
  @Nullable public var readOut: ReadOut?

  /// Norms of the tokens' parts of singular vectors: one row per triplet, one column per token.
  public struct TokenNorms: Codable, Sendable, Equatable {
    /// Of u, over the output tokens.
    public var left: [[Double]]
    /// Of v, over the input tokens.
    public var right: [[Double]]
  }
}

extension MapRecord: BoundedTriplets {}

/// What a solve of a map found.
struct SolvedMap {
  var triplets: SingularTriplets
  /// Which products measured the residual norms.
  var precision: ProductPrecision
  /// How far those are from what is meant.
  var noise: OperatorNoise?
}

extension MapRecord {
  /// Of a map's triplets.
  init(
    _ selection: MapSelection, _ map: ResolvedMap, fromTokens: [Int]?, toTokens: [Int]?,
    _ found: SolvedMap, seconds: Double
  ) {
    let t = found.triplets
    var remedy: String?
    if case .stopped(let stop) = t.report.outcome { remedy = stop.advice.description }
    let (inputs, outputs) = (map.inputShape, map.outputShape)
    self.init(
      fromLayer: map.map.fromLayer, toLayer: MapEnd(map.map.to), logits: selection.logits,
      fromTokens: fromTokens, toTokens: toTokens, tied: selection.tied, reduce: selection.reduce,
      site: selection.partSite, head: selection.head, expert: selection.expert,
      linearization: selection.linearization, path: selection.path,
      identitySubtracted: map.subtractsIdentity,
      shape: [outputs.rows * outputs.columns, inputs.rows * inputs.columns],
      singularValues: t.singularValues, residualNorms: t.residualNorms,
      converged: t.report.isConverged, remedy: remedy,
      relativeGaps: SpectrumShape.relativeGaps(t.singularValues), solver: t.report.solver,
      applications: .init(jvp: t.report.applications.jvp, vjp: t.report.applications.vjp),
      passes: t.report.applications.passes, seconds: seconds, precision: found.precision,
      noise: found.noise)
    addBounds(of: t, noise: found.noise, dimension: shape.max() ?? 1)
    if inputs.rows > 1 || outputs.rows > 1 {
      tokenNorms = TokenNorms(
        left: t.leftVectors.partNorms(outputs.rows), right: t.rightVectors.partNorms(inputs.rows))
    }
  }
}

extension MapEnd {
  package init(_ destination: JacobianMap.Destination) {
    self =
      switch destination {
      case .layer(let layer): .layer(layer)
      case .finalNorm: .final
      case .logits, .logitDifference: .logits
      }
  }
}

extension Matrix<Double> {
  /// Of every row the norms of its parts, so many and of one length.
  fileprivate func partNorms(_ parts: Int) -> [[Double]] {
    let length = columns / parts
    return (0..<rows).map { r in
      (0..<parts).map { p in
        (p * length..<(p + 1) * length).reduce(0) { $0 + self[r, $1] * self[r, $1] }.squareRoot()
      }
    }
  }
}
