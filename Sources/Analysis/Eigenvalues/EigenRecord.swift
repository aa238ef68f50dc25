import Lanczos
import LinearAlgebra
import Model

/// The results of `krylens eigen` as written in `result.json` (keys in snake case; missing numbers are `null`).
public struct EigenRecord: Codable, Sendable {
  /// How the results came about.
  public var head: RecordHead<EigenSettings>
  /// One per prompt, in the order given.
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

  /// Writes one object with the members of both parts.
  public func encode(to encoder: any Encoder) throws {
    try head.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(prompts, forKey: .prompts)
  }

  /// Reads the `result.json` of a folder. Throws `RunError.badRun`.
  package init(folder: String) throws(RunError) { self = try storedRecord(folder) }

  /// What is known about an unfinished run in a folder, with nothing found for unfinished prompts; nil if there is no such run.
  package static func begun(in folder: String) throws -> EigenRecord? {
    guard let (manifest, units) = ResultFolder<EigenManifest>.begun(in: folder) else { return nil }
    let prompts = try manifest.prompts.enumerated().map { p, entry in
      try units.eigenPrompt(p) ?? EigenPromptRecord(entry)
    }
    return EigenRecord(manifest, prompts, isComplete: false)
  }

  /// The prompts without results, each with its reason.
  public var failures: [PromptFailure] { prompts.compactMap(\.entry.failed) }
}

/// The results for one prompt.
public struct EigenPromptRecord: Codable, Sendable {
  /// The prompt.
  public var entry: PromptEntry
  /// What was found.
  public var found = Found()

  /// The results without the prompt. In `result.json` the members of both are side by side.
  public struct Found: Codable, Sendable {
    /// One per block.
    public var layers: [SpectrumRecord] = []
    /// The span, if one was asked for.
    @Nullable public var map: SpectrumRecord?
    /// 1/L Σ ln |Rᵢᵢ| along the token's path through all blocks, if requested; null where a direction has vanished.
    @Nullable public var lyapunovExponents: [Double?]?
    /// How the exponents were found.
    @Nullable public var lyapunov: ExponentRecord?

    init() {}
  }

  init(_ entry: PromptEntry) { self.entry = entry }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    entry = try PromptEntry(from: decoder)
    found = try Found(from: decoder)
  }

  /// Writes one object with the members of both parts.
  public func encode(to encoder: any Encoder) throws {
    try entry.encode(to: encoder)
    try found.encode(to: encoder)
  }

  /// Whether the prompt is finished, with results or with a failure.
  public var isFinished: Bool {
    entry.failed != nil || found.lyapunovExponents != nil || !spectra.isEmpty
  }

  /// The spectra of the blocks and of the span.
  public var spectra: [SpectrumRecord] { found.layers + [found.map].compactMap { $0 } }
}

// The finished part of an `eigen` run: one file per prompt.
extension KeptUnits {
  func eigenPrompt(_ p: Int) throws -> EigenPromptRecord? {
    try unit("p\(p)")?.notes(EigenPromptRecord.self)
  }

  func keep(_ record: EigenPromptRecord, _ p: Int) throws {
    try keep(ArrayFile(), notes: record, as: "p\(p)")
  }
}

/// The dominant eigenvalues of I + J, and its departure from normality.
public struct SpectrumRecord: Codable, Sendable {
  /// The block, from 1; null for a span.
  @Nullable public var layer: Int?
  /// The boundary where the operator begins.
  public var fromLayer: Int
  /// The boundary where it ends.
  public var toLayer: Int
  /// The tokens whose states are input and output, from 0.
  public var tokens: [Int]
  /// Rows and columns.
  public var shape: [Int]
  /// The eigenvalues as [real, imaginary], by decreasing modulus.
  public var eigenvalues: [[Double]]
  /// ‖(I + J) x − λ x‖, measured, one per eigenvalue.
  public var residualNorms: [Double]
  /// Whether all are within tolerance · |λ₁|.
  public var converged: Bool
  /// The solver's remedy if it did not converge.
  @Nullable public var remedy: String?
  /// ‖Jᵀ J − J Jᵀ‖_F / ‖J‖_F².
  public var departureFromNormality: Double
  /// The standard error of the departure; 0 where it is exact.
  public var departureStandardError: Double
  /// A lower bound on Henrici's departure (‖J‖_F² − Σ |λ − 1|²)^½, over ‖J‖_F.
  public var henriciBound: Double
  /// ‖J‖_F.
  public var frobeniusNorm: Double
  /// The standard error of ‖J‖_F.
  public var frobeniusStandardError: Double
  /// The solver that was used.
  public var solver: String
  /// The number of vectors applied, including those for the departure.
  public var applications: LayerRecord.Applications
  /// Passes over the weights.
  public var passes: Int
  /// Wall-clock seconds.
  public var seconds: Double

  /// The record of I + J for a residual map J from some tokens to themselves.
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
  /// The token whose path was followed.
  public var token: Int
  /// Forward sweeps through all blocks; there is one backward sweep less.
  public var sweeps: Int
  /// The largest change in the last sweep; null after a single sweep.
  @Nullable public var change: Double?
  /// Whether that change is within the tolerance for exponents.
  public var converged: Bool
  /// Passes over the weights of all blocks.
  public var passes: Int
  /// Wall-clock seconds.
  public var seconds: Double
}
