import Autodiff
import Checkpoint
import LinearAlgebra
import Testing

@testable import Model

/// How many of a mixture's experts count as read.
@Suite struct ExpertCostTests {
  /// Three 24 × 14 float32 matrices per expert, and five experts per block, of which a token chooses two; all stored
  /// forms.
  @Test(arguments: Fixture.all.filter { $0.name == "mixtral" && $0.form != .bfloat16 })
  func mixtral(_ fixture: Fixture) throws {
    let model = try fixture.load()
    let expert = 3 * 24 * 14
    let everything = model.bytes(ofBlock: 1, tokens: .max)
    let needed = [0, 2, 4, 5, 5, 5]
    for (tokens, experts) in needed.enumerated() {
      #expect(
        model.bytes(ofBlock: 1, tokens: tokens) == everything - 4 * expert * (5 - experts))
    }
    #expect(
      model.activeParameters == model.description.parameters
        - model.description.layers * 3 * expert)
    let chosen = try #require(model.chosenTensors(ofBlock: 0))
    #expect(chosen.names.count == (fixture.form == .gguf ? 3 : 15))
    #expect(chosen.names.allSatisfy { model.tensorNames(ofBlock: 0).contains($0) })
  }

  @Test func nothingIsChosenOfOthers() throws {
    let model = try Fixture(name: "llama", form: .folder).load()
    #expect(model.activeParameters == model.description.parameters)
    #expect(model.bytes(ofBlock: 0, tokens: 1) == model.bytes(ofBlock: 0, tokens: .max))
  }

  /// Sizes and numbers of experts that a file may claim do not overflow.
  @Test func largeNumbers() {
    let all = ChosenTensors(names: [], chosen: 1 << 31, of: 1 << 31)
    #expect(all.part(of: .max, tokens: .max) == .max)
    let half = ChosenTensors(names: [], chosen: 1 << 30, of: 1 << 31)
    #expect(half.part(of: 1 << 62, tokens: 1) == 1 << 61)
  }

  /// Alternating gate and up from one transposed product equal those from two products, including derivatives.
  @Test func fusedMatrices() {
    var random = SeededGenerator(seed: 3)
    let (gate, up) = (
      random.normalMatrix(rows: 3, columns: 5), random.normalMatrix(rows: 3, columns: 5)
    )
    let down = LinearWeights(weights: .init(random.normalMatrix(rows: 5, columns: 3)))
    let rows = (0..<5).flatMap { i in (0..<3).flatMap { [gate[$0, i], up[$0, i]] } }
    let both = LinearWeights(
      weights: .init(Matrix(rows: 5, columns: 6, elements: rows)), transposed: true)
    let x = random.normalMatrix(rows: 2, columns: 5)
    let (apart, fused) = (
      MLPWeights(
        gate: .init(weights: .init(gate)), up: .init(weights: .init(up)), down: down,
        activation: .silu),
      MLPWeights(.fused(both, gate: [0, 2, 4], up: [1, 3, 5]), down: down, activation: .silu)
    )
    // Sums of five products, in another order.
    let (a, b) = (linearize({ apart($0) }, at: x), linearize({ fused($0) }, at: x))
    expectClose(b.value.elements, a.value.elements, 1e-14)
    let (j, k): (Matrix<Double>, Matrix<Double>) = (a.materialized(), b.materialized())
    expectClose(k.elements, j.elements, 1e-14)
  }

  /// g σ(a g) (u + 1) with both clamped: equals its factors where nothing is clamped, and is constant in what is
  /// clamped.
  @Test func clampedGating() {
    let identity = { (row: [Double]) in
      LinearWeights(weights: .init(Matrix<Double>(rows: 1, columns: 2, elements: row)))
    }
    let mlp = MLPWeights(
      .gated(gate: identity([1, 0]), up: identity([0, 1])),
      down: .init(weights: .init(Matrix<Double>(rows: 1, columns: 1, elements: [1]))),
      activation: .silu, gating: .clamped(slope: 1.5, limit: 2))
    func expected(_ g: Double, _ u: Double) -> Double {
      let (g, u) = (min(g, 2), max(-2, min(u, 2)))
      return g / (1 + Double.exp(-1.5 * g)) * (u + 1)
    }
    for (g, u) in [(0.5, -1.2), (3.0, 0.4), (-9.0, 0.4), (1.0, 5.0), (1.0, -5.0), (4.0, 4.0)] {
      let x = Matrix<Double>([[g, u]])
      let jacobian = linearize({ mlp($0) }, at: x)
      #expect(abs(jacobian.value[0, 0] - expected(g, u)) < 1e-14)
      // Truncation h²: 10⁻¹⁰ of third derivatives below 10.
      let h = 1e-5
      let slopes = [
        (expected(g + h, u) - expected(g - h, u)) / (2 * h),
        (expected(g, u + h) - expected(g, u - h)) / (2 * h),
      ]
      let found: Matrix<Double> = jacobian.materialized()
      expectClose(found.elements, slopes, 1e-8, scale: 1)
    }
  }
}
