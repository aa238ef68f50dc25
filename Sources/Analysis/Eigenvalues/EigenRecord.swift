import Lanczos
import LinearAlgebra
import Model

/// What `krylens eigen` found, as it stands in `result.json` (keys in snake case; missing numbers are `null`).
public struct EigenRecord: Codable, Sendable {
  /// The version that wrote it.
  public var krylens: String
  /// `eigen`.
  public var command = "eigen"
  /// Whether every prompt is there.
  public var complete: Bool
  /// The model.
  public var model: ModelRecord
  /// Every option in force.
  public var settings: EigenSettings
  /// One a prompt, in the order given.
  public var prompts: [EigenPromptRecord]
  /// Wall-clock seconds.
  public var seconds: Seconds
  /// What the residual norms are measured against.
  public var residualsAgainst: String
  /// What computed it.
  public var computedWith: [ProcessorRecord]
  /// Peak resident bytes, mapped weights that were touched included.
  public var peakMemoryBytes: Int
  /// Peak anonymous resident bytes.
  public var peakPrivateBytes: Int

  /// Seconds by part.
  public struct Seconds: Codable, Sendable {
    /// All of it.
    public var total: Double
    /// Opening the model and tokenizing.
    public var load: Double
    /// Everything else.
    public var solve: Double
  }

  /// The prompts without results, each with the reason.
  public var failures: [PromptFailure] { prompts.compactMap(\.failed) }
}

/// What was found on one prompt.
public struct EigenPromptRecord: Codable, Sendable {
  /// The text, if it was given as text.
  @Nullable public var text: String?
  /// The image, if it was one.
  @Nullable public var image: String?
  /// A hash of the image's pixel values, if it was one.
  @Nullable public var imageHash: String?
  /// The tokens; of an image there are none.
  @Nullable public var tokenIds: [Int]?
  /// The tokens the encoder read, in models that have one.
  @Nullable public var encoderTokenIds: [Int]?
  /// One a block.
  public var layers: [SpectrumRecord]
  /// The span, if one was asked for.
  @Nullable public var map: SpectrumRecord?
  /// 1/L Σ ln |Rᵢᵢ| along the token's path through all blocks, if asked for; null where nothing is left of a direction.
  @Nullable public var lyapunovExponents: [Double?]?
  /// How they were found.
  @Nullable public var lyapunov: ExponentRecord?
  /// Why there are no results; null where there are.
  @Nullable public var failed: PromptFailure?
}

/// The dominant eigenvalues of I + J, and how far it is from normal.
public struct SpectrumRecord: Codable, Sendable {
  /// The block, from 1; null for a span.
  @Nullable public var layer: Int?
  /// The boundary the operator begins at.
  public var fromLayer: Int
  /// The boundary it ends at.
  public var toLayer: Int
  /// The tokens whose states are input and output, from 0.
  public var tokens: [Int]
  /// Rows and columns.
  public var shape: [Int]
  /// λ as [real, imaginary], by falling modulus.
  public var eigenvalues: [[Double]]
  /// ‖(I + J) x − λ x‖, measured, one per eigenvalue.
  public var residualNorms: [Double]
  /// Whether all are within tolerance · |λ₁|.
  public var converged: Bool
  /// What the solver says otherwise.
  @Nullable public var remedy: String?
  /// ‖Jᵀ J − J Jᵀ‖_F / ‖J‖_F².
  public var departureFromNormality: Double
  /// One standard error of it; 0 where it is exact.
  public var departureStandardError: Double
  /// What Henrici's departure (‖J‖_F² − Σ |λ − 1|²)^½ is at least, over ‖J‖_F.
  public var henriciBound: Double
  /// ‖J‖_F.
  public var frobeniusNorm: Double
  /// One standard error of it.
  public var frobeniusStandardError: Double
  /// The solver that answered.
  public var solver: String
  /// Vectors, those for the departure included.
  public var applications: LayerRecord.Applications
  /// Readings of the weights.
  public var passes: Int
  /// Of it all.
  public var seconds: Double

  /// Of I + J of a residual map J from some tokens to themselves.
  init(
    layer: Int?, boundaries: (from: Int, to: Int), tokens: [Int], _ pairs: Eigenpairs,
    _ departure: DepartureFromNormality, seconds: Double
  ) {
    self.layer = layer
    (fromLayer, toLayer, self.tokens) = (boundaries.from, boundaries.to, tokens)
    shape = [pairs.realParts.columns, pairs.realParts.columns]
    eigenvalues = pairs.values.map { [$0.real, $0.imaginary] }
    residualNorms = pairs.residualNorms
    converged = pairs.report.isConverged
    if case .stopped(let stop) = pairs.report.outcome { remedy = stop.advice.description }
    departureFromNormality = departure.value
    departureStandardError = departure.standardError
    henriciBound = departure.henriciBound
    frobeniusNorm = departure.frobeniusNorm
    frobeniusStandardError = departure.frobeniusError
    solver = pairs.report.solver
    let counts = [pairs.report.applications, departure.applications]
    applications = .init(
      jvp: counts.reduce(0) { $0 + $1.jvp }, vjp: counts.reduce(0) { $0 + $1.vjp })
    passes = counts.reduce(0) { $0 + $1.passes }
    self.seconds = seconds
  }
}

/// How the exponents along a path were found.
public struct ExponentRecord: Codable, Sendable {
  /// The token whose path it is.
  public var token: Int
  /// Sweeps forward through all blocks; one fewer back.
  public var sweeps: Int
  /// The largest change in the last of them; null after one.
  @Nullable public var change: Double?
  /// Whether that is within the tolerance for exponents.
  public var converged: Bool
  /// Readings of all blocks' weights together.
  public var passes: Int
  /// Of it all.
  public var seconds: Double
}
