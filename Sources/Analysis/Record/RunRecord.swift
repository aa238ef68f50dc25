import Weights
import Alignment
import LinearAlgebra
import Model

/// The results of a run as written in `result.json` (keys in snake case; missing numbers are `null`).
public struct RunRecord: Codable, Sendable {
  /// The version of Krylens that wrote the record.
  public var krylens: String
  /// Whether the results of all prompts are complete.
  public var complete: Bool
  /// The model.
  public var model: ModelRecord
  /// All settings in effect.
  public var settings: RunSettings
  /// For a shard, the whole list of prompts of which it has a part.
  @Nullable public var promptList: PromptList?
  /// One per prompt, in the order given.
  public var prompts: [PromptRecord]
  /// Means over the prompts.
  public var statistics: StudyStatistics
  /// Wall-clock seconds.
  public var seconds: Seconds
  /// What the residual norms are measured against.
  @Nullable public var residualsAgainst: String?
  /// The kinds of processor that computed it; more than one if the run was resumed elsewhere. Between them sums differ in
  /// their last bits.
  @Nullable public var computedWith: [ProcessorRecord]?
  /// Peak resident bytes, including mapped weights that were read.
  public var peakMemoryBytes: Int
  /// Peak anonymous resident bytes: the memory needed besides the mapped weights.
  public var peakPrivateBytes: Int

  /// Seconds by part.
  public struct Seconds: Codable, Sendable {
    /// The whole run.
    public var total: Double
    /// Opening the model and tokenizing.
    public var load: Double
    /// The pass that solves, including the forward pass; of several teams of processes the sum of their times.
    public var solve: Double
    /// The pass that applies every Jacobian to all bases; of several teams the sum.
    public var coupling: Double
    /// The seconds of both passes in which the work waited for weights to be read; of several teams the sum. Missing in older
    /// runs.
    public var reading: Double?
    /// The number of teams of processes that shared the work; missing if there was one.
    public var teams: Int?
  }
}

/// What the last bits of numbers depend on besides the settings.
public struct ProcessorRecord: Codable, Sendable, Equatable {
  /// The name of the `Engine.InstructionSet`.
  public var instructionSet: String
  /// The core type for which OpenBLAS takes the processor.
  public var blas: String

  init(_ engine: Engine) {
    (instructionSet, blas) = (engine.instructionSet.name, BLAS.coreName)
  }
}

/// A model, as recorded.
public struct ModelRecord: Codable, Sendable {
  /// The name given, or the file's name.
  public var name: String
  /// Where it was read from.
  public var source: String
  /// The family that read it.
  public var family: String
  /// The file's own name for it.
  public var modelType: String
  /// The number of blocks.
  public var layers: Int
  /// The width.
  public var width: Int
  /// The number of weights.
  public var parameters: Int
  /// The types that the weights are stored in.
  public var storedTypes: [String]
  /// The hash of the weights, `CheckpointDirectory.fingerprint()`.
  public var fingerprint: String
  /// The training step it was saved at, if it is known.
  @Nullable public var trainingStep: Int?
}

/// The results for one prompt.
public struct PromptRecord: Codable, Sendable {
  /// The text, if it was given as text.
  @Nullable public var text: String?
  /// The image, if it was one.
  @Nullable public var image: String?
  /// A hash of the image's pixel values, if it was one.
  @Nullable public var imageHash: String?
  /// The tokens; nil for an image.
  @Nullable public var tokenIds: [Int]?
  /// Their texts as the vocabulary has them; null without a tokenizer, and in records of earlier versions.
  @Nullable public var tokens: [String?]?
  /// The tokens the encoder read, in models that have one.
  @Nullable public var encoderTokenIds: [Int]?
  /// The most likely next token; in a masked language model the most likely token at the last position. Null without a head.
  @Nullable public var nextTokenId: Int?
  /// Its text, if there is a tokenizer.
  @Nullable public var nextToken: String?
  /// One per Jacobian, block after block.
  public var layers: [LayerRecord]
  /// The coupling for all combinations of sign, normalisation and computed form, at each rank.
  public var coupling: [CouplingMatrix]
  /// The overlap of the singular subspaces, at each rank.
  public var overlap: [OverlapRecord]
  /// The path of all tokens through the blocks.
  public var trajectory: TrajectoryRecord
  /// The fit of 1/σ₁ against depth.
  @Nullable public var inverseLeadingFit: InverseLeadingFit?
  /// Why there are no results; null if there are.
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
  /// The measured residual norms, one per triplet.
  public var residualNorms: [Double]
  /// Whether all are within tolerance · σ₁.
  public var converged: Bool
  /// The solver's remedy if it did not converge.
  @Nullable public var remedy: String?
  /// (σₖ − σₖ₊₁) / σ₁; where it is small, single vectors mean little.
  @Nullable public var relativeGaps: [Double]?
  /// ‖J‖_F, exact or estimated by probes.
  @Nullable public var frobeniusNorm: FrobeniusNorm?
  /// The solver that was used.
  public var solver: String
  /// The number of vectors in its blocks; null for solvers without blocks, and in records of earlier versions.
  @Nullable public var blockSize: Int?
  /// The number of vectors applied in each direction.
  public var applications: Applications
  /// Passes over the weights.
  public var passes: Int
  /// Wall-clock seconds of the solve.
  public var seconds: Double
  /// The precision of the products that measured the residual norms; null in records of earlier versions, which know only
  /// single precision.
  @Nullable public var precision: ProductPrecision?
  /// The distance of the applied operator from the Jacobian, relative to σ₁, measured on a sample of the prompts; null if it
  /// was not measured.
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

  /// The number of vectors applied in each direction.
  public struct Applications: Codable, Sendable {
    /// The number of products J v.
    public var jvp: Int
    /// The number of products Jᵀ u.
    public var vjp: Int
  }
}

extension LayerRecord: BoundedTriplets {}

/// ‖UᵢᵀUⱼ‖_F² / K and the same of V, for all pairs of a coupling table.
public struct OverlapRecord: Codable, Sendable {
  /// The Jacobians that the pairs are made of.
  public var place: CouplingPlace
  /// The rank K.
  public var rank: Int
  /// K/d, the overlap expected of independent subspaces.
  public var chance: Double
  /// The overlaps of left singular subspaces.
  public var left: [[Double]]
  /// The overlaps of right singular subspaces.
  public var right: [[Double]]
  /// An upper bound on the error of both; null in records of earlier versions.
  @Nullable public var bound: [[Double]]?
}

/// The norms and the shape of each token's path.
public struct TrajectoryRecord: Codable, Sendable {
  /// ‖x_t^l‖ for layers 0…L, each with all tokens.
  public var norms: [[Double]]
  /// The line-shape score of each token; null where unit steps cancel or there is no step.
  public var lineShapeScore: [Double?]
  /// The number of steps of length zero, which the line-shape score leaves out.
  public var zeroSteps: [Int]
  /// The mean of ln(‖x^l‖ / ‖x^{l−1}‖), one per token; null where a state is zero.
  public var growth: [Double?]
  /// Var(a) / mean(a)², one per token; null where the growth is negligible.
  public var expodistance: [Double?]
  /// cos((I + J^L) ⋯ (I + J¹) x⁰, x^L) for the last token that has Jacobians; null unless all blocks were linearized.
  @Nullable public var linearisedPathCosine: Double?
  /// The paths of all tokens in the plane of their two main directions; null if there are too many states to keep.
  @Nullable public var picture: PictureRecord?
  /// The paths of the tokens after the first, in a plane of their own: a first token far from all others would determine both
  /// directions. Null if `picture` is null or there is a single token.
  @Nullable public var pictureWithoutFirst: PictureRecord?
}

/// A `PathPicture` as recorded.
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
  /// The record of paths that were followed to the end.
  init(
    _ followed: TrajectoryAccumulator, _ cosine: Double?, _ picture: PathPicture?,
    withoutFirst: PathPicture?
  ) {
    let (norms, shapes) = (followed.norms, followed.shapes)
    // A token with a zero state, such as padding embedded as zeros, has no growth; everything else is still defined.
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

/// The least-squares line of 1/σ₁(l) against l.
public struct InverseLeadingFit: Codable, Sendable {
  /// The first block that takes part.
  public var start: Int
  /// The slope.
  public var slope: Double
  /// The value at l = 0.
  public var intercept: Double
  /// R² of the fit; null if all values are equal.
  @Nullable public var rSquared: Double?
}

extension RunRecord {
  /// The prompts without results, each with its reason.
  public var failures: [PromptFailure] { prompts.compactMap(\.failed) }
}
