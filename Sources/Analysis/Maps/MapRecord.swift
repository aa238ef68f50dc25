import Alignment
import LinearAlgebra
import Model

/// The results of `triplets` as written in `result.json` (keys in snake case; missing numbers are `null`).
public struct MapRunRecord: Codable, Sendable {
  /// How the results came about.
  public var head: RecordHead<MapSettings>
  /// One per prompt, in the order given.
  public var prompts: [MapPromptRecord]
  /// The triplets of the average over prompts, if requested; null otherwise.
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

  /// Writes one object with the members of all parts.
  public func encode(to encoder: any Encoder) throws {
    try head.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(prompts, forKey: .prompts)
    try values.encode(_average, forKey: .average)
  }

  /// The prompts without results, each with its reason.
  public var failures: [PromptFailure] { prompts.compactMap(\.entry.failed) }

  /// The maps found: one per prompt that did not fail, with its position, or the average, with nil.
  public var maps: [(prompt: Int?, map: MapRecord)] {
    average.map { [(nil, $0)] }
      ?? prompts.enumerated().compactMap { p, prompt in prompt.map.map { (p, $0) } }
  }
}

/// The results for one prompt.
public struct MapPromptRecord: Codable, Sendable {
  /// The prompt.
  public var entry: PromptEntry
  /// The triplets of its map; null if the prompt failed, and in runs of the average.
  @Nullable public var map: MapRecord?
  /// The input tokens, from 0, of a prompt that is part of an average.
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

  /// Writes one object with the members of all parts.
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
  /// The boundary where it begins.
  public var fromLayer: Int
  /// Where it ends.
  public var toLayer: MapEnd
  /// The two ids whose difference of logits is the output; null for all other maps.
  @Nullable public var logits: [Int]?
  /// The input tokens, from 0. For an average whose prompts differ in them, they are counted from the end, negative; null
  /// if they still differ.
  @Nullable public var fromTokens: [Int]?
  /// Likewise the output tokens.
  @Nullable public var toTokens: [Int]?
  /// Whether one input is added at every source token.
  public var tied: Bool
  /// How several output tokens were combined.
  public var reduce: JacobianMap.Reduction
  /// The part of the block that was differentiated, for a map through a single block.
  public var site: JacobianSite
  /// The attention head, from 0, if the map goes through one.
  @Nullable public var head: Int?
  /// The expert, from 0, if the map goes through one.
  @Nullable public var expert: Int?
  /// What was held constant besides the other tokens.
  public var linearization: LinearizationKind
  /// The paths through several blocks.
  public var path: JacobianMap.Path
  /// Whether the identity was subtracted.
  public var identitySubtracted: Bool
  /// Outputs and inputs.
  public var shape: [Int]
  /// σ₁ ≥ σ₂ ≥ ….
  public var singularValues: [Double]
  /// The measured residual norms, one per triplet.
  public var residualNorms: [Double]
  /// Whether all are within tolerance · σ₁.
  public var converged: Bool
  /// The solver's remedy if it did not converge.
  @Nullable public var remedy: String?
  /// (σₖ − σₖ₊₁) / σ₁; where it is small, single vectors mean little.
  @Nullable public var relativeGaps: [Double]?
  /// The solver that was used.
  public var solver: String
  /// The number of vectors in its blocks; null for solvers without blocks, and in records of earlier versions.
  @Nullable public var blockSize: Int?
  /// The number of vectors applied in each direction.
  public var applications: LayerRecord.Applications
  /// Passes over the weights.
  public var passes: Int
  /// Wall-clock seconds of the solve.
  public var seconds: Double
  /// The precision of the products that measured the residual norms; null in records of earlier versions, which know only
  /// single precision.
  @Nullable public var precision: ProductPrecision?
  /// The distance of the applied operator from the map, relative to σ₁; null if it was not measured.
  @Nullable public var noise: OperatorNoise?
  /// An upper bound on |σ̂ₖ − σₖ| for each value, including the operator's noise if that is known; null in records of earlier
  /// versions, as are the following members.
  @Nullable public var bound: [Double]?
  /// An upper bound on the sine of the angle between each found and true vector, left or right; 1 where nothing is known.
  @Nullable public var vectorBound: [Double]?
  /// The same bound for the space of all vectors, ‖sin Θ‖_F.
  @Nullable public var subspaceBound: Double?
  /// What is known about values that were not found; null if the solver did not search for them.
  @Nullable public var certificate: Certificate?
  /// The first and last rank, from 1, of each cluster: values so close that their single vectors are not determined. The last
  /// cluster may end beyond the requested values.
  @Nullable public var clusters: [[Int]]?
  /// Triplets beyond the requested ones; null if there are none.
  @Nullable public var further: FurtherRecord?
  /// The norm of each token's part of every vector; null if neither side has several tokens.
  @Nullable public var tokenNorms: TokenNorms?
  /// The tokens that the vectors favour and disfavour, if requested.
  @Nullable public var readOut: ReadOut?

  /// The norms of the tokens' parts of singular vectors: one row per triplet, one column per token.
  public struct TokenNorms: Codable, Sendable, Equatable {
    /// Norms of the parts of u, over the output tokens.
    public var left: [[Double]]
    /// Norms of the parts of v, over the input tokens.
    public var right: [[Double]]
  }
}

extension MapRecord: BoundedTriplets {}

/// The result of solving a map.
struct SolvedMap {
  var triplets: SingularTriplets
  /// The precision of the products that measured the residual norms.
  var precision: ProductPrecision
  /// The distance of those products from the map.
  var noise: OperatorNoise?
}

extension MapRecord {
  /// The record of a map's triplets.
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
      blockSize: t.report.blockSize,
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
  /// The norms of the parts of each row, `parts` of equal length.
  fileprivate func partNorms(_ parts: Int) -> [[Double]] {
    let length = columns / parts
    return (0..<rows).map { r in
      (0..<parts).map { p in
        (p * length..<(p + 1) * length).reduce(0) { $0 + self[r, $1] * self[r, $1] }.squareRoot()
      }
    }
  }
}
