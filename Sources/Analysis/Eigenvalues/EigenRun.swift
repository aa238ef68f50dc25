import Files
import Autodiff
import Lanczos
import LinearAlgebra
import Model

/// The dominant eigenvalues of blocks, how far they are from normal, and exponents along a token's path, prompt by prompt.
public struct EigenRun {
  /// What is run.
  public let settings: EigenSettings
  private let loaded: LoadedModel

  /// Opens the model, tokenizes the prompts and checks every option against both, before any work is done.
  ///
  /// Throws `FileError`, `ModelError`, `RunError`.
  public init(_ settings: EigenSettings, prompts inputs: [PromptInput]) throws {
    self.settings = settings
    loaded = try LoadedModel(settings.common, prompts: inputs)
    try settings.check(
      loaded.model.description, lengths: loaded.lengths, labels: loaded.labels)
  }

  /// What was decided where the model's folder left a choice, and what was made of prompts that may have been meant
  /// otherwise: one line each, for the user to read.
  public var notes: [String] { loaded.notes }

  /// Throws `RunError.badSetting` when more memory is predicted to be needed than is allowed, before any work.
  public func requireWithinMemory() throws {
    guard let limit = settings.common.maxMemory,
      let longest = loaded.lengths.indices.max(by: { loaded.lengths[$0] < loaded.lengths[$1] })
    else { return }
    defer { returnFreedMemory() }
    let model = loaded.model
    let cost = try loaded.engine.use {
      try EigenCost(model, loaded.prompts[longest].input, settings)
    }
    guard cost.bytes > limit else { return }
    throw RunError.badSetting(
      .maxMemory, value: spokenBytes(limit),
      reason:
        "the run is predicted to need \(spokenBytes(cost.bytes)); allow more, lower \(.top), shorten the prompts, "
        + "or \(.solver) arpack instead of dense")
  }

  /// Runs it.
  ///
  /// A solve that did not converge is a result, and so is a prompt that failed: its record says why. Throws
  /// `RunError.allFailed` if there is no other, `RunError.interrupted`, and what a model that changes under the run throws.
  public func run(progress: (any RunProgress)? = nil, meter: MemoryMeter) throws -> EigenRecord {
    let start = monotonicSeconds()
    let model = loaded.model
    let layers =
      settings.isSpan ? [] : settings.numeric.layers ?? Array(1...model.description.layers)
    let units = layers.count + (settings.isSpan ? 1 : 0) + (settings.numeric.exponents ? 1 : 0)
    var count = ProgressCount(solving: (loaded.prompts.count * units, 1), coupling: (0, 1))
    count.start()
    let prompts = try loaded.engine.use {
      try loaded.prompts.indices.map { p in
        var step = EigenWalk(model, settings, layers: layers) {
          progress?.update(count.add($0, to: .solving, computed: true))
          if progress?.isCancelled == true { throw RunError.interrupted(resume: nil) }
        }
        defer { returnFreedMemory() }
        return try step.record(loaded.prompts[p].given, loaded.prompts[p].input, number: p + 1)
      }
    }
    try model.source.checkIntact()
    let failures = prompts.compactMap(\.failed)
    guard failures.count < prompts.count else { throw RunError.allFailed(failures) }
    meter.sample()
    return EigenRecord(
      krylens: krylensVersion, complete: true, model: try loaded.record(), settings: settings,
      prompts: prompts,
      seconds: .init(
        total: loaded.seconds + monotonicSeconds() - start, load: loaded.seconds,
        solve: monotonicSeconds() - start),
      residualsAgainst: RunResult.residualsAgainst,
      computedWith: [ProcessorRecord(loaded.engine)],
      peakMemoryBytes: meter.peakResidentBytes, peakPrivateBytes: meter.peakPrivateBytes)
  }
}

/// One prompt's way through the blocks, its operators solved where they stand.
struct EigenWalk {
  private let model: any Transformer
  private let settings: EigenSettings
  /// The blocks whose eigenvalues are wanted, from 1, ascending.
  private let layers: [Int]
  /// Called after every unit of work.
  private let step: (Int) throws -> Void

  init(
    _ model: any Transformer, _ settings: EigenSettings, layers: [Int],
    step: @escaping (Int) throws -> Void
  ) {
    (self.model, self.settings, self.layers, self.step) = (model, settings, layers, step)
  }

  /// What is found on a prompt, or why nothing is.
  func record(
    _ given: PromptInput, _ input: ModelInput, number: Int
  ) throws -> EigenPromptRecord {
    let header = PromptHeader(given, input, [])
    var record = EigenPromptRecord(
      text: header.text, image: header.image, imageHash: header.imageHash,
      tokenIds: header.tokenIds, encoderTokenIds: header.encoderTokenIds, layers: [], map: nil,
      lyapunovExponents: nil, lyapunov: nil, failed: nil)
    do {
      if settings.isSpan { record.map = try span(model, input) }
      if settings.numeric.exponents || !layers.isEmpty { try walk(model, input, into: &record) }
    } catch let failure as Failure {
      (record.layers, record.map) = ([], nil)
      record.failed = PromptFailure(
        number: number, text: header.text, layer: failure.layer, token: failure.token,
        tensor: failure.tensor, reason: failure.reason)
    }
    return record
  }

  /// Why a prompt has no results.
  private struct Failure: Error {
    let layer: Int
    let token: Int?
    let tensor: String?
    let reason: String
  }

  /// The spectrum of several blocks as one operator.
  private func span(_ model: some Transformer, _ input: ModelInput) throws -> SpectrumRecord {
    let count = model.description.tokenCount(of: input)
    let map = try ResolvedMap(settings.span, of: model.description, tokens: count)
    let jacobian: Linearization<Float>
    do { jacobian = try linearize(map.map, of: [input], in: model) } catch let error as ModelError {
      let tensor = if case .weightNotFinite(_, let name) = error { name } else { nil as String? }
      throw Failure(layer: map.lastBlock, token: nil, tensor: tensor, reason: "\(error)")
    }
    let record = try failing(at: map.lastBlock, map.toTokens[0]) {
      try spectrum(
        of: jacobian, layer: nil, boundaries: (map.map.fromLayer, map.lastBlock), map.toTokens)
    }
    try step(1)
    return record
  }

  private func walk(
    _ model: some Transformer, _ input: ModelInput, into record: inout EigenPromptRecord
  ) throws {
    let numeric = settings.numeric
    let count = model.description.layers
    let token = numeric.tokens.positions(in: model.description.tokenCount(of: input))[0]
    var losses: [PromptLoss] = []
    var states = try HiddenStates<Float>(inputs: [input], in: model, losing: &losses)
    try Self.check(losses)
    var path: [Linearization<Float>] = []
    let last = numeric.exponents ? count : layers.last ?? 0
    for layer in 1...max(last, 1) where layer <= last {
      model.advise(.willNeed, block: layer)  // the next one, while this one is worked on
      let point = states.advance(through: model, losing: &losses)
      try Self.check(losses)
      guard numeric.exponents || layers.contains(layer) else {
        model.advise(.dontNeed, block: layer - 1)
        continue
      }
      let jacobian =
        residualJacobian(model, at: point, [(0, TokenSelection(token))]) as Linearization<Float>
      if layers.contains(layer) {
        let spectrum = try failing(at: layer, token) {
          try self.spectrum(of: jacobian, layer: layer, boundaries: (layer - 1, layer), [token])
        }
        record.layers.append(spectrum)
        try step(1)
      }
      jacobian.releaseWorkspace()
      if numeric.exponents { path.append(jacobian) }
      model.advise(.dontNeed, block: layer - 1)
    }
    guard numeric.exponents else { return }
    let start = monotonicSeconds()
    let found = try failing(at: count, token) {
      try LyapunovExponents(
        of: path.map(\.plusIdentity), count: min(numeric.top, model.description.width),
        seed: settings.common.seed
      ) { path[$0].releaseWorkspace() }
    }
    record.lyapunovExponents = found.values.map { $0.isFinite ? $0 : nil }
    record.lyapunov = ExponentRecord(
      token: token, sweeps: found.sweeps, change: found.change.isFinite ? found.change : nil,
      converged: found.isConverged, passes: found.applications.passes,
      seconds: monotonicSeconds() - start)
    try step(1)
  }

  /// The eigenvalues of I + J, and the departure, of a residual map J from some tokens to themselves.
  private func spectrum(
    of jacobian: any LinearOperator, layer: Int?, boundaries: (from: Int, to: Int), _ tokens: [Int]
  ) throws -> SpectrumRecord {
    let start = monotonicSeconds()
    let numeric = settings.numeric
    let solver = numeric.solver.chosen(for: numeric.top, width: jacobian.inputDimension)
      .solver(tolerance: numeric.tolerance, seed: settings.common.seed)
    let pairs = try solver.eigenpairs(of: jacobian.plusIdentity, count: numeric.top)
    let departure = try DepartureFromNormality(of: jacobian, seed: settings.common.seed)
    return SpectrumRecord(
      layer: layer, boundaries: boundaries, tokens: tokens, pairs, departure,
      seconds: monotonicSeconds() - start)
  }

  /// Does a solve; what it throws is the prompt's failure.
  private func failing<Result>(
    at layer: Int, _ token: Int, _ solve: () throws -> Result
  ) throws -> Result {
    do { return try solve() } catch {
      let reason =
        switch error {
        case let error as OperatorError: error.reason
        case let error as SolverError: error.reason
        default: "\(error)"
        }
      throw Failure(layer: layer, token: token, tensor: nil, reason: reason)
    }
  }

  private static func check(_ losses: [PromptLoss]) throws {
    guard let loss = losses.first.map({ LostPrompt($0) }) else { return }
    throw Failure(
      layer: loss.layer, token: loss.token, tensor: loss.tensor, reason: loss.reason)
  }
}
