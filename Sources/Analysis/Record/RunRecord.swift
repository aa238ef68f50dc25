import Weights
import Alignment
import LinearAlgebra
import Model

/// Everything a run found, as it stands in `result.json` (keys in snake case; missing numbers are `null`).
public struct RunRecord: Codable, Sendable {
  /// The version that wrote it.
  public var krylens: String
  /// Whether every prompt is there, with all that belongs to it.
  public var complete: Bool
  /// The model.
  public var model: ModelRecord
  /// Every option in force.
  public var settings: RunSettings
  /// Of a shard, the whole list of prompts it has a part of.
  @Nullable public var promptList: PromptList?
  /// One a prompt, in the order given.
  public var prompts: [PromptRecord]
  /// Means over the prompts.
  public var statistics: StudyStatistics
  /// Wall-clock seconds.
  public var seconds: Seconds
  /// What the residual norms are measured against.
  @Nullable public var residualsAgainst: String?
  /// What computed it; more than one where a run went on elsewhere. Between them sums differ in their last bits.
  @Nullable public var computedWith: [ProcessorRecord]?
  /// Peak resident bytes, mapped weights that were touched included.
  public var peakMemoryBytes: Int
  /// Peak anonymous resident bytes: what is needed beyond the mapped weights.
  public var peakPrivateBytes: Int

  /// Seconds by part.
  public struct Seconds: Codable, Sendable {
    /// All of it.
    public var total: Double
    /// Opening the model and tokenizing.
    public var load: Double
    /// The pass that solves, forward pass included.
    public var solve: Double
    /// The pass that applies every Jacobian to all bases.
    public var coupling: Double
  }
}

/// What numbers depend on in their last bits besides the settings.
public struct ProcessorRecord: Codable, Sendable, Equatable {
  /// `Engine.InstructionSet`, by its name.
  public var instructionSet: String
  /// The core type OpenBLAS takes the processor for.
  public var blas: String

  init(_ engine: Engine) {
    (instructionSet, blas) = (engine.instructionSet.name, BLAS.coreName)
  }
}

/// A model, as recorded.
public struct ModelRecord: Codable, Sendable {
  /// The name given, or that of the file.
  public var name: String
  /// Where it was read from.
  public var source: String
  /// The family that read it.
  public var family: String
  /// The file's own name for it.
  public var modelType: String
  /// Blocks.
  public var layers: Int
  /// Width.
  public var width: Int
  /// Weights.
  public var parameters: Int
  /// Their types.
  public var storedTypes: [String]
  /// `CheckpointDirectory.fingerprint()`.
  public var fingerprint: String
  /// The step of training it was taken at, if it is known.
  @Nullable public var trainingStep: Int?
}

/// What was found on one prompt.
public struct PromptRecord: Codable, Sendable {
  /// The text, if it was given as text.
  @Nullable public var text: String?
  /// The image, if it was one.
  @Nullable public var image: String?
  /// A hash of the image's pixel values, if it was one.
  @Nullable public var imageHash: String?
  /// The tokens; of an image there are none.
  @Nullable public var tokenIds: [Int]?
  /// Their texts as the vocabulary has them; null without a tokenizer, and in records of earlier versions.
  @Nullable public var tokens: [String?]?
  /// The tokens the encoder read, in models that have one.
  @Nullable public var encoderTokenIds: [Int]?
  /// The likeliest next token; of a masked language model the likeliest one at the last place. Null without a head.
  @Nullable public var nextTokenId: Int?
  /// Its text, if there is a tokenizer.
  @Nullable public var nextToken: String?
  /// One a Jacobian, block after block.
  public var layers: [LayerRecord]
  /// All combinations of sign, normalisation and computed form, at every rank.
  public var coupling: [CouplingMatrix]
  /// Overlap of the singular subspaces, at every rank.
  public var overlap: [OverlapRecord]
  /// The path of all tokens through the blocks.
  public var trajectory: TrajectoryRecord
  /// 1/σ₁ against depth.
  @Nullable public var inverseLeadingFit: InverseLeadingFit?
  /// Why there are no results; null where there are.
  @Nullable public var failed: PromptFailure?
}

/// The triplets of one Jacobian, without their vectors.
public struct LayerRecord: Codable, Sendable {
  /// The block, from 1.
  public var layer: Int
  /// The input token, from 0.
  public var fromToken: Int
  /// The output token, from 0.
  public var toToken: Int
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
  /// ‖J‖_F, exact or estimated by probes.
  @Nullable public var frobeniusNorm: FrobeniusNorm?
  /// The solver that answered.
  public var solver: String
  /// Vectors.
  public var applications: Applications
  /// Readings of the weights.
  public var passes: Int
  /// Of the solve.
  public var seconds: Double
  /// Which products measured the residual norms; null in records of earlier versions, which know single precision only.
  @Nullable public var precision: ProductPrecision?
  /// How far the operator that was applied is from the Jacobian, relative to σ₁, measured on a sample of the prompts; null
  /// where it was not.
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

  /// Vectors in each direction.
  public struct Applications: Codable, Sendable {
    /// J was applied to.
    public var jvp: Int
    /// Jᵀ was applied to.
    public var vjp: Int
  }
}

extension LayerRecord: BoundedTriplets {}

/// ‖UᵢᵀUⱼ‖_F² / K and the same of V, for all pairs of a coupling table.
public struct OverlapRecord: Codable, Sendable {
  /// Which Jacobians the pairs are of.
  public var place: CouplingPlace
  /// K.
  public var rank: Int
  /// K/d: what independent subspaces would have.
  public var chance: Double
  /// Of left vectors.
  public var left: [[Double]]
  /// Of right vectors.
  public var right: [[Double]]
  /// How far either may be off; null in records of earlier versions.
  @Nullable public var bound: [[Double]]?
}

/// Norms and shape of every token's path.
public struct TrajectoryRecord: Codable, Sendable {
  /// ‖x_t^l‖: layers 0…L, each all tokens.
  public var norms: [[Double]]
  /// One per token; null where unit steps cancel or there is none.
  public var lineShapeScore: [Double?]
  /// Steps of length zero, left out of the line-shape score.
  public var zeroSteps: [Int]
  /// Mean of ln(‖x^l‖ / ‖x^{l−1}‖), one per token; null where a state is zero.
  public var growth: [Double?]
  /// Var(a) / mean(a)², one per token; null where there is no growth to speak of.
  public var expodistance: [Double?]
  /// cos((I + J^L) ⋯ (I + J¹) x⁰, x^L) of the last token the Jacobians are of; null unless all blocks were linearized.
  @Nullable public var linearisedPathCosine: Double?
  /// All tokens' paths in the plane of their two main directions; null where the states are too many to keep.
  @Nullable public var picture: PictureRecord?
  /// The same of the tokens after the first, in a plane of their own: a first token far from all others takes both
  /// directions for itself. Null where `picture` is, and of a single token.
  @Nullable public var pictureWithoutFirst: PictureRecord?
}

/// `PathPicture`, as recorded.
public struct PictureRecord: Codable, Sendable {
  /// (x, y) at `[token][layer]`, layers 0…L.
  public var points: [[[Double]]]
  /// The shares of the total variance along the two directions.
  public var explainedVariance: [Double]
}

extension PictureRecord {
  fileprivate init(_ picture: PathPicture) {
    self.init(
      points: picture.polylines.map { $0.map { [$0.x, $0.y] } },
      explainedVariance: [picture.explainedVariance.x, picture.explainedVariance.y])
  }
}

extension TrajectoryRecord {
  /// Of paths that were followed to the end.
  init(
    _ followed: TrajectoryAccumulator, _ cosine: Double?, _ picture: PathPicture?,
    withoutFirst: PathPicture?
  ) {
    let (norms, shapes) = (followed.norms, followed.shapes)
    // A token with a zero state, such as padding embedded as zeros, has no growth; all else still stands.
    let growths = shapes.indices.map { t in
      try? ExponentialGrowth(norms: norms.map { $0[t] }, token: t)
    }
    self.init(
      norms: norms,
      lineShapeScore: shapes.map { $0.score.flatMap { $0.isFinite ? $0 : nil } },
      zeroSteps: shapes.map(\.zeroSteps), growth: growths.map { $0?.mean },
      expodistance: growths.map { $0?.expodistance }, linearisedPathCosine: cosine,
      picture: picture.map(PictureRecord.init),
      pictureWithoutFirst: withoutFirst.map(PictureRecord.init))
  }
}

/// Least squares of 1/σ₁(l) against l.
public struct InverseLeadingFit: Codable, Sendable {
  /// The first block that takes part.
  public var start: Int
  /// Slope, intercept, R².
  public var slope: Double
  /// At l = 0.
  public var intercept: Double
  /// Of the fit; null when all values are equal.
  @Nullable public var rSquared: Double?
}

extension RunRecord {
  /// The prompts without results, each with the reason.
  public var failures: [PromptFailure] { prompts.compactMap(\.failed) }
}
