import Autodiff
import Lanczos
import LinearAlgebra
import Model

/// Takes one prompt through the blocks and solves its operators on the way.
struct EigenWalk {
  private let settings: EigenSettings
  /// The blocks whose eigenvalues are wanted, from 1, ascending.
  private let layers: [Int]
  /// Whether the user has asked to stop.
  private let isCancelled: () -> Bool
  /// Called after each unit of work; throws to stop.
  private let step: () throws -> Void
  /// Called while a block is read; throws to stop.
  private let report: (ReadingProgress?) throws -> Void

  init(
    _ settings: EigenSettings, layers: [Int], isCancelled: @escaping () -> Bool,
    report: @escaping (ReadingProgress?) throws -> Void, step: @escaping () throws -> Void
  ) {
    (self.settings, self.layers) = (settings, layers)
    (self.isCancelled, self.report, self.step) = (isCancelled, report, step)
  }

  /// The results for a prompt, or why there are none.
  func record(
    _ entry: PromptEntry, _ input: ModelInput, number: Int, in model: some Transformer
  ) throws -> EigenPromptRecord {
    var record = EigenPromptRecord(entry)
    do {
      if settings.isSpan { record.found.map = try span(model, input) }
      if settings.numeric.exponents || !layers.isEmpty {
        try walk(model, input, into: &record.found)
      }
    } catch let failure as Failure {
      record.found = .init()
      record.entry.failed = PromptFailure(
        number: number, text: entry.text, layer: failure.layer, token: failure.token,
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
    let map = try ResolvedMap(
      settings.span(in: model.description.layers), of: model.description, tokens: count)
    let jacobian: Linearization<Float>
    do { jacobian = try linearize(map.map, of: [input], in: model) } catch let error as ModelError {
      let tensor = if case .weightNotFinite(_, let name) = error { name } else { nil as String? }
      throw Failure(layer: map.lastBlock, token: nil, tensor: tensor, reason: "\(error)")
    }
    let record = try failing(at: map.lastBlock, map.toTokens[0]) {
      try spectrum(
        of: jacobian, layer: nil, boundaries: (map.map.fromLayer, map.lastBlock), map.toTokens)
    }
    try step()
    return record
  }

  private func walk(
    _ model: some Transformer, _ input: ModelInput, into found: inout EigenPromptRecord.Found
  ) throws {
    let numeric = settings.numeric
    let count = model.description.layers
    let token = numeric.tokens.positions(in: model.description.tokenCount(of: input))[0]
    var losses: [PromptLoss] = []
    var states = try HiddenStates<Float>(inputs: [input], in: model, losing: &losses)
    try Self.check(losses)
    var path: [Linearization<Float>] = []
    let reader = BlockReader(model, report: report)
    let last = numeric.exponents ? count : layers.last ?? 0
    for layer in 1...max(last, 1) where layer <= last {
      try reader.enter(.block(layer - 1), next: layer < last ? .block(layer) : nil)
      let point = states.advance(through: model, losing: &losses)
      try Self.check(losses)
      guard numeric.exponents || layers.contains(layer) else {
        reader.leave(.block(layer - 1))
        continue
      }
      let jacobian =
        residualJacobian(model, at: point, [(0, TokenSelection(token))]) as Linearization<Float>
      if layers.contains(layer) {
        let spectrum = try failing(at: layer, token) {
          try self.spectrum(of: jacobian, layer: layer, boundaries: (layer - 1, layer), [token])
        }
        found.layers.append(spectrum)
        try step()
      }
      jacobian.releaseWorkspace()
      if numeric.exponents { path.append(jacobian) }
      reader.leave(.block(layer - 1))
    }
    guard numeric.exponents else { return }
    let start = monotonicSeconds()
    let exponents = try failing(at: count, token) {
      try LyapunovExponents(
        of: path.map { CancellableOperator($0, isCancelled: isCancelled).plusIdentity },
        count: min(numeric.top, model.description.width),
        seed: settings.common.seed
      ) { path[$0].releaseWorkspace() }
    }
    found.lyapunovExponents = exponents.values.map { $0.isFinite ? $0 : nil }
    found.lyapunov = ExponentRecord(
      token: token, sweeps: exponents.sweeps,
      change: exponents.change.isFinite ? exponents.change : nil,
      converged: exponents.isConverged, passes: exponents.applications.passes,
      seconds: monotonicSeconds() - start)
    try step()
  }

  /// The eigenvalues of I + J and the departure from normality, for a residual map J from some tokens to themselves.
  private func spectrum(
    of linearization: Linearization<Float>, layer: Int?, boundaries: (from: Int, to: Int),
    _ tokens: [Int]
  ) throws -> SpectrumRecord {
    let start = monotonicSeconds()
    let numeric = settings.numeric
    let jacobian = CancellableOperator(linearization, isCancelled: isCancelled)
    let solver = numeric.solver.chosen(for: numeric.top, width: jacobian.inputDimension)
      .solver(tolerance: numeric.tolerance, seed: settings.common.seed)
    let pairs = try solver.eigenpairs(of: jacobian.plusIdentity, count: numeric.top)
    let departure = try DepartureFromNormality(of: jacobian, seed: settings.common.seed)
    return SpectrumRecord(
      layer: layer, boundaries: boundaries, tokens: tokens, pairs, departure,
      seconds: monotonicSeconds() - start)
  }

  /// Does a solve, turning its errors into the prompt's failure.
  private func failing<Result>(
    at layer: Int, _ token: Int, _ solve: () throws -> Result
  ) throws -> Result {
    do { return try solve() } catch {
      // After an interrupt the products are NaN, so the error means nothing.
      if isCancelled() { try step() }
      throw Failure(layer: layer, token: token, tensor: nil, reason: failureReason(error))
    }
  }

  private static func check(_ losses: [PromptLoss]) throws {
    guard let loss = losses.first.map({ LostPrompt($0) }) else { return }
    throw Failure(
      layer: loss.layer, token: loss.token, tensor: loss.tensor, reason: loss.reason)
  }
}
