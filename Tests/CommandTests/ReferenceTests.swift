import Alignment
import Analysis
import Lanczos
import TestSupport
import Testing

/// A run against an independent implementation in float64.
///
/// The products are in single precision, so singular values are good to a few 10⁻⁶ σ₁ and 3·10⁻⁵ is asked for. A vector rotates
/// by residual / gap: tolerance 10⁻⁵ and the rounding of the products, over the smallest relative gap g among the values
/// that belong to the rank. Couplings, sums of products of such vectors over ‖S‖, follow: 4·10⁻⁵ / g, never above 2·10⁻³.
struct ReferenceTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let fixture: ModelFixture
    let solver: SolverKind
    var testDescription: String { "\(fixture), \(solver.rawValue)" }
    var options: [String] { ["--top", "6", "--ranks", "3,6", "--solver", solver.rawValue] }
  }

  static let solvers = SolverKind.allCases.filter { $0 != .auto }
  static let cases = ModelFixture.all.flatMap { fixture in
    solvers.map { Case(fixture: fixture, solver: $0) }
  }

  private func run(_ c: Case, _ options: [String] = []) throws -> PromptRecord {
    let tokens = try c.fixture.expected().tokenIds.list
    let run = try Command.align(c.fixture.folder, ["--token-ids", tokens] + c.options + options)
    return try #require(run.record.prompts.first)
  }

  private func expect(_ layers: [LayerRecord], have sigma: [[Double]], solver: SolverKind) {
    #expect(layers.count == sigma.count)
    for (layer, s) in zip(layers, sigma) {
      #expect(layer.singularValues.count == 6)
      for (found, wanted) in zip(layer.singularValues, s) {
        #expect(abs(found - wanted) <= 3e-5 * s[0], "block \(layer.layer)")
      }
      #expect(layer.converged && layer.residualNorms.allSatisfy { $0 <= 1e-5 * s[0] })
      #expect(layer.solver == solver.rawValue)
      #expect(layer.applications.jvp + layer.applications.vjp >= layer.passes)
    }
  }

  @Test(arguments: cases)
  func spectraAndCouplings(c: Case) throws {
    let expected = try c.fixture.expected()
    let prompt = try run(c, ["--form", "both"])
    expect(prompt.layers, have: expected.sigmaLast, solver: c.solver)
    #expect(prompt.layers.allSatisfy { $0.fromToken == expected.tokenIds.count - 1 })
    #expect(prompt.coupling.count == 16)
    for coupling in prompt.coupling {
      let setting = coupling.setting
      let wanted = expected.coupling(
        rank: setting.rank, absolute: setting.sign == .absolute, crossed: setting.form == .crossed)
      let tolerance = min(2e-3, 4e-5 / gap(expected.sigmaLast, rank: setting.rank))
      #expect(coupling.rows == Array(1...wanted.count) && coupling.columns == coupling.rows)
      for (i, row) in wanted.enumerated() {
        // m^(1) = m^(2) ‖S_K‖_F / tr S_K
        let s = expected.sigmaLast[i].prefix(setting.rank)
        let ratio =
          setting.normalisation == .trace
          ? s.reduce(0) { $0 + $1 * $1 }.squareRoot() / s.reduce(0, +) : 1
        for (j, value) in row.enumerated() {
          let found = try #require(coupling.matrix[i][j])
          #expect(abs(found - (1 - (1 - value) * ratio)) <= tolerance, "\(setting), \(i), \(j)")
        }
      }
    }
  }

  /// The smallest (σₖ − σₖ₊₁) / σ₁, k ≤ rank, of all blocks.
  private func gap(_ sigma: [[Double]], rank: Int) -> Double {
    sigma.flatMap { s in (0..<rank).map { (s[$0] - s[$0 + 1]) / s[0] } }.min()!
  }

  @Test(arguments: ModelFixture.all)
  func trajectories(fixture: ModelFixture) throws {
    let expected = try fixture.expected()
    let prompt = try run(Case(fixture: fixture, solver: .dense))
    let t = prompt.trajectory
    // Norms are sums of d squares in single precision; the others are quotients of differences of them.
    for (row, wanted) in zip(t.norms, expected.hiddenNorms) {
      for (a, b) in zip(row, wanted) { #expect(abs(a - b) <= 1e-5 * b) }
    }
    #expect(t.norms.count == expected.hiddenNorms.count)
    for (found, wanted, tolerance) in [
      (t.lineShapeScore, expected.lineShapeScore, 1e-5), (t.growth, expected.growth, 1e-5),
      (t.expodistance, expected.expodistance, 1e-4),
    ] {
      #expect(found.count == wanted.count)
      for (a, b) in zip(found, wanted) {
        #expect(abs(try #require(a) - b) <= tolerance * max(1, abs(b)))
      }
    }
    let logits = expected.lastLogits
    #expect(prompt.nextTokenId == logits.indices.max { logits[$0] < logits[$1] })
  }

  @Test(arguments: cases)
  func halvesOfABlock(c: Case) throws {
    let expected = try c.fixture.expected()
    expect(
      try run(c, ["--site", "attention"]).layers, have: expected.sigmaAttention, solver: c.solver)
    expect(try run(c, ["--site", "mlp"]).layers, have: expected.sigmaMlp, solver: c.solver)
  }

  @Test(arguments: cases)
  func fromOneTokenToAnother(c: Case) throws {
    let cross = try c.fixture.expected().sigmaCross
    let length = try c.fixture.expected().tokenIds.count
    let options = ["--from-token", "\(cross.inputToken)", "--to-token", "\(cross.outputToken)"]
    let prompt = try run(c, options)
    expect(prompt.layers, have: cross.sigma, solver: c.solver)
    #expect(prompt.layers.allSatisfy { $0.fromToken == cross.inputToken })
    #expect(prompt.layers.allSatisfy { $0.toToken == cross.outputToken })
    #expect(prompt.coupling.count == 8 && prompt.coupling.allSatisfy { $0.kind == .depth })
    #expect(prompt.trajectory.linearisedPathCosine == nil)
    // The same tokens counted from the end.
    let back = try run(
      c,
      [
        "--from-token", "\(cross.inputToken - length)", "--to-token=\(cross.outputToken - length)",
      ])
    #expect(back.layers.map(\.singularValues) == prompt.layers.map(\.singularValues))
  }

  @Test(arguments: cases)
  func lastBlock(c: Case) throws {
    let expected = try c.fixture.expected()
    let normed = try run(c, ["--last", "normed"])
    expect(
      normed.layers, have: expected.sigmaLast.dropLast() + [expected.sigmaLastBlockNormed],
      solver: c.solver)
    let drop = try run(c, ["--last", "drop"])
    expect(drop.layers, have: expected.sigmaLast.dropLast(), solver: c.solver)
    #expect(drop.coupling[0].rows == Array(1..<expected.sigmaLast.count))
    // The trajectory always covers 0…L.
    #expect(drop.trajectory.norms.count == expected.hiddenNorms.count)
  }

  @Test func narrowTypesHoldTheSameModel() throws {
    // llama's weights are exact in BF16.
    let fixture = ModelFixture("llama")
    let run = try Command.align(
      fixture.folder + "/bf16",
      ["--token-ids", try fixture.expected().tokenIds.list, "--top", "6", "--solver", "dense"])
    #expect(run.record.model.storedTypes == ["BF16"])
    expect(run.record.prompts[0].layers, have: try fixture.expected().sigmaLast, solver: .dense)
  }

  @Test(arguments: ModelFixture.all)
  func bothFormatsAreOneModel(fixture: ModelFixture) throws {
    let options = ["--token-ids", try fixture.expected().tokenIds.list, "--top", "6"]
    let folder = try Command.align(fixture.folder, options).record
    let gguf = try Command.align(fixture.gguf, options).record
    #expect(folder.model.layers == gguf.model.layers && folder.model.width == gguf.model.width)
    #expect(folder.model.parameters == gguf.model.parameters)
    #expect(folder.prompts[0].nextTokenId == gguf.prompts[0].nextTokenId)
    // GGUF keeps ε and rotary factors as float32, and rows of q and k in another order: other sums, the same numbers.
    for (a, b) in zip(folder.prompts[0].layers, gguf.prompts[0].layers) {
      for (s, t) in zip(a.singularValues, b.singularValues) {
        #expect(abs(s - t) <= 1e-5 * a.singularValues[0])
      }
    }
    let tolerance = min(
      2e-3, 4e-5 / gap(try fixture.expected().sigmaLast, rank: 6))
    for (a, b) in zip(folder.prompts[0].coupling, gguf.prompts[0].coupling) {
      #expect(a.setting == b.setting)
      for (x, y) in zip(a.matrix.joined(), b.matrix.joined()) {
        #expect(abs(try #require(x) - (try #require(y))) <= tolerance)
      }
    }
  }
}
