import Autodiff
import Checkpoint
import Foundation
import Lanczos
import LinearAlgebra
import Model
import TestSupport
import Testing

@testable import Analysis

/// Eigenvalues, departures and exponents of tiny models of several families, against dense decompositions of the same
/// Jacobians.
@Suite struct EigenRunTests {
  private static let tokens = [5, 3, 9, 7, 2]

  private func run(
    _ folder: String, _ change: (inout EigenSettings) -> Void
  ) throws -> EigenRecord {
    var settings = EigenSettings(ModelSettings(model: folder, name: "tiny", threads: 1))
    settings.numeric.top = 4
    change(&settings)
    let run = try EigenRun(settings, prompts: [.tokens(Self.tokens)])
    let scratch = try ScratchFolder()
    return try #require(
      try run.run(in: EigenRun.Folder(scratch["run"], for: run.manifest()), meter: MemoryMeter()))
  }

  /// The dense Jacobians along a token's path.
  private func path(_ folder: String) throws -> [Matrix<Double>] {
    let model = try loadTransformer(try CheckpointDirectory(opening: folder))
    return try jacobians(model)
  }

  private func jacobians(_ model: some Transformer) throws -> [Matrix<Double>] {
    var states = try HiddenStates<Float>([Self.tokens], in: model)
    return try (0..<model.description.layers).map { _ in
      let point = try states.advance(through: model)
      let jacobian: Linearization<Float> = residualJacobian(
        model, at: point, [(0, TokenSelection(Self.tokens.count - 1))])
      return jacobian.materialized()
    }
  }

  private func eigenvalues(_ a: Matrix<Double>, _ count: Int) throws -> [[Double]] {
    try DenseEigensolver().eigenpairs(of: DenseOperator(a), count: count).values
      .map { [$0.real, $0.imaginary] }
  }

  private func plusIdentity(_ a: Matrix<Double>) -> Matrix<Double> {
    var sum = a
    for i in 0..<a.rows { sum[i, i] += 1 }
    return sum
  }

  @Test(
    arguments: ["llama", "gpt2", "gemma2", "bert", "mamba", "olmoe"],
    [EigensolverKind.arpack, .dense])
  func blocksAgreeWithLAPACK(family: String, solver: EigensolverKind) throws {
    let folder = ModelFixture(family).folder
    let record = try run(folder) { $0.numeric.solver = solver }
    let jacobians = try path(folder)
    let spectra = record.prompts[0].found.layers
    #expect(spectra.count == jacobians.count)
    for (spectrum, j) in zip(spectra, jacobians) {
      let wanted = try eigenvalues(plusIdentity(j), 4)
      let largest = wanted[0].map { $0 * $0 }.reduce(0, +).squareRoot()
      for (a, b) in zip(spectrum.eigenvalues, wanted) {
        // Residual norms of 10⁻⁵ |λ₁|, and the condition of eigenvalues of random matrices of order 16, some tens.
        #expect(abs(a[0] - b[0]) < 1e-3 * largest && abs(abs(a[1]) - abs(b[1])) < 1e-3 * largest)
      }
      let commutator = j.gram(.transposed) - j.gram()
      let departure = commutator.frobeniusNorm / (j.frobeniusNorm * j.frobeniusNorm)
      // In so few dimensions it is exact, to single precision.
      #expect(abs(spectrum.departureFromNormality - departure) < 1e-5)
      #expect(spectrum.departureStandardError == 0)
    }
  }

  @Test(arguments: ["llama", "gpt2", "gemma2"])
  func exponentsAreThoseOfTheProduct(family: String) throws {
    let folder = ModelFixture(family).folder
    let record = try run(folder) { $0.numeric.exponents = true }
    let jacobians = try path(folder)
    let product = jacobians.reduce(.identity(jacobians[0].rows)) {
      Matrix.product(plusIdentity($1), .none, $0)
    }
    let singular = try product.singularValueDecomposition().values
    let found = try #require(record.prompts[0].found.lyapunovExponents)
    for (exponent, σ) in zip(found, singular) {
      // Settled to 10⁻⁴, over one minus the rate at which it settles.
      #expect(abs(try #require(exponent) - log(σ) / Double(jacobians.count)) < 2e-3)
    }
  }

  /// In a causal decoder a span from a token to itself is the product of its blocks, I + J each.
  @Test(arguments: ["llama", "gpt2", "gemma2"])
  func spansAreProducts(family: String) throws {
    let folder = ModelFixture(family).folder
    let jacobians = try path(folder)
    let record = try run(folder) {
      ($0.numeric.fromLayer, $0.numeric.toLayer) = (0, jacobians.count)
    }
    let product = jacobians.reduce(.identity(jacobians[0].rows)) {
      Matrix.product(plusIdentity($1), .none, $0)
    }
    let wanted = try eigenvalues(product, 4)
    let spectrum = try #require(record.prompts[0].found.map)
    #expect(record.prompts[0].found.layers.isEmpty)
    #expect(spectrum.fromLayer == 0 && spectrum.toLayer == jacobians.count && spectrum.layer == nil)
    let largest = wanted[0].map { $0 * $0 }.reduce(0, +).squareRoot()
    for (a, b) in zip(spectrum.eigenvalues, wanted) {
      #expect(abs(a[0] - b[0]) < 1e-3 * largest && abs(abs(a[1]) - abs(b[1])) < 1e-3 * largest)
    }
  }

  /// The map of all tokens to themselves is block triangular under a causal mask: its eigenvalues are those of its diagonal
  /// blocks, one token's each.
  @Test func allTokensHaveTheEigenvaluesOfEach() throws {
    let folder = ModelFixture("llama").folder
    let whole = try run(folder) {
      ($0.numeric.toLayer, $0.numeric.tokens) = (2, .all)
    }.prompts[0].found.map
    let each = try Self.tokens.indices.flatMap { token in
      try run(folder) {
        ($0.numeric.layers, $0.numeric.tokens, $0.numeric.top) = ([2], .indices([token]), 8)
      }.prompts[0].found.layers[0].eigenvalues
    }
    let spectrum = try #require(whole)
    #expect(spectrum.tokens == Array(Self.tokens.indices))
    for λ in spectrum.eigenvalues {
      let nearest = each.map { hypot($0[0] - λ[0], $0[1] - λ[1]) }.min() ?? .infinity
      // As above; a triangular matrix is farther from normal than its blocks.
      #expect(nearest < 1e-2 * hypot(spectrum.eigenvalues[0][0], spectrum.eigenvalues[0][1]))
    }
  }

  /// A finished prompt is not run again: what is kept of it is the result, to the bit.
  @Test func goesOnFromFinishedPrompts() throws {
    final class Stop: RunProgress {
      var updates = 0
      let last: Int
      init(after last: Int) { self.last = last }
      func update(_ state: RunProgressState) { updates += 1 }
      var isCancelled: Bool { updates >= last }
    }
    var settings = EigenSettings(
      ModelSettings(model: ModelFixture("llama").folder, name: "tiny", threads: 1))
    (settings.numeric.top, settings.numeric.exponents) = (3, true)
    let run = try EigenRun(settings, prompts: [.tokens(Self.tokens), .tokens([1, 2, 3])])
    let scratch = try ScratchFolder()
    let whole = try #require(
      try run.run(in: EigenRun.Folder(scratch["whole"], for: run.manifest()), meter: MemoryMeter()))
    let units = whole.head.model.layers + 1
    #expect {
      let folder = try EigenRun.Folder(scratch["run"], for: run.manifest())
      _ = try run.run(in: folder, progress: Stop(after: units + 1), meter: MemoryMeter())
    } throws: {
      $0 as? RunError == .interrupted(resume: scratch["run"])
    }
    let rest = Stop(after: .max)
    let folder = try EigenRun.Folder(scratch["run"], for: run.manifest())
    #expect(folder.keepsWork)
    let resumed = try #require(try run.run(in: folder, progress: rest, meter: MemoryMeter()))
    #expect(rest.updates == units + 1)
    for (a, b) in zip(whole.prompts, resumed.prompts) {
      #expect(a.spectra.map(\.eigenvalues) == b.spectra.map(\.eigenvalues))
      #expect(a.found.lyapunovExponents == b.found.lyapunovExponents)
    }
    let again = try EigenRun.Folder(scratch["run"], for: run.manifest())
    #expect(again.isComplete)
    settings.numeric.top = 2
    let other = try EigenRun(settings, prompts: [.tokens(Self.tokens), .tokens([1, 2, 3])])
    #expect(throws: RunError.self) {
      try EigenRun.Folder(scratch["run"], for: other.manifest())
    }
  }

  @Test func whatDoesNotFitIsRefused() {
    let changes: [(SettingKey, @Sendable (inout EigenSettings) -> Void)] = [
      (.top, { $0.numeric.top = 1000 }), (.tolerance, { $0.numeric.tolerance = 1 }),
      (.layers, { $0.numeric.layers = [99] }), (.fromToken, { $0.numeric.tokens = .indices([5]) }),
      (.fromToken, { $0.numeric.tokens = .all }),
      (.toLayer, { $0.numeric.toLayer = 0 }), (.toLayer, { $0.numeric.toLayer = 99 }),
      (.toLayer, { ($0.numeric.fromLayer, $0.numeric.toLayer) = (2, 1) }),
      (
        .exponents,
        { ($0.numeric.tokens, $0.numeric.toLayer, $0.numeric.exponents) = (.all, 2, true) }
      ),
    ]
    for (key, change) in changes {
      do {
        _ = try run(ModelFixture("llama").folder, change)
        Issue.record("\(key) was taken")
      } catch RunError.badSetting(let named, _, _) {
        #expect(named == key)
      } catch {
        Issue.record("\(error)")
      }
    }
  }
}
