import Lanczos
import LinearAlgebra
import Model

/// What `krylens eigen` found, as it stands in `result.json` (keys in snake case; missing numbers are `null`).
public struct EigenRecord: Codable, Sendable {
  /// How it came about.
  public var head: RecordHead<EigenSettings>
  /// One a prompt, in the order given.
  public var prompts: [EigenPromptRecord]

  private enum CodingKeys: CodingKey { case prompts }

  init(_ manifest: EigenManifest, _ prompts: [EigenPromptRecord], isComplete: Bool) {
    (head, self.prompts) = (manifest.head(isComplete: isComplete), prompts)
  }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    head = try RecordHead(from: decoder)
    prompts = try decoder.container(keyedBy: CodingKeys.self)
      .decode([EigenPromptRecord].self, forKey: .prompts)
  }

  /// One object with the members of both parts.
  public func encode(to encoder: any Encoder) throws {
    try head.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(prompts, forKey: .prompts)
  }

  /// Reads the `result.json` of a folder. Throws `RunError.badRun`.
  package init(folder: String) throws(RunError) { self = try storedRecord(folder) }

  /// What is known of a run that has been begun in a folder and has not ended, the prompts that are not finished with nothing
  /// found; nil if there is none.
  package static func begun(in folder: String) throws -> EigenRecord? {
    guard let (manifest, units) = ResultFolder<EigenManifest>.begun(in: folder) else { return nil }
    let prompts = try manifest.prompts.enumerated().map { p, entry in
      try units.eigenPrompt(p) ?? EigenPromptRecord(entry)
    }
    return EigenRecord(manifest, prompts, isComplete: false)
  }

  /// The prompts without results, each with the reason.
  public var failures: [PromptFailure] { prompts.compactMap(\.entry.failed) }
}

/// What was found on one prompt.
public struct EigenPromptRecord: Codable, Sendable {
  /// The prompt.
  public var entry: PromptEntry
  /// What was found.
  public var found = Found()

  /// All but the prompt itself. In `result.json` the members of both stand side by side.
  public struct Found: Codable, Sendable {
    /// One a block.
    public var layers: [SpectrumRecord] = []
    /// The span, if one was asked for.
    @Nullable public var map: SpectrumRecord?
    /// 1/L Σ ln |Rᵢᵢ| along the token's path through all blocks, if asked for; null where nothing is left of a direction.
    @Nullable public var lyapunovExponents: [Double?]?
    /// How they were found.
    @Nullable public var lyapunov: ExponentRecord?

    init() {}
  }

  init(_ entry: PromptEntry) { self.entry = entry }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    entry = try PromptEntry(from: decoder)
    found = try Found(from: decoder)
  }

  /// One object with the members of both parts.
  public func encode(to encoder: any Encoder) throws {
    try entry.encode(to: encoder)
    try found.encode(to: encoder)
  }

  /// Whether it is known what is found, or that nothing is.
  public var isFinished: Bool {
    entry.failed != nil || found.lyapunovExponents != nil || !spectra.isEmpty
  }

  /// The spectra of the blocks, and of the span.
  public var spectra: [SpectrumRecord] { found.layers + [found.map].compactMap { $0 } }
}

/// What of a run of `eigen` is finished: one file per prompt.
extension KeptUnits {
  func eigenPrompt(_ p: Int) throws -> EigenPromptRecord? {
    try unit("p\(p)")?.notes(EigenPromptRecord.self)
  }

  func keep(_ record: EigenPromptRecord, _ p: Int) throws {
    try keep(ArrayFile(), notes: record, as: "p\(p)")
  }
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
