import Autodiff
import Foundation
import LinearAlgebra
import Model
import Testing
import Weights

/// The choice of experts in the ways of published models.
@Suite struct ExpertRoutingTests {
  /// The weights of one token's experts; 0 for those not chosen.
  private func weights(_ routing: ExpertRouting, _ logits: [Double]) -> [Double] {
    let (isChosen, weights) = routing(Variable(Matrix<Double>([logits])))
    return logits.indices.map { isChosen[$0][0] ? weights.value[0, $0] : 0 }
  }

  private func expect(_ found: [Double], _ wanted: [Double]) {
    // About ten rounding errors of numbers below 3.
    for (a, b) in zip(found, wanted) { #expect(abs(a - b) < 1e-14, "\(found), not \(wanted)") }
  }

  /// The values of e^logit are 1, 2 and 5, which sum to 8.
  @Test func softmaxOverAllOrOverTheChosen() {
    let logits = [0, log(2.0), log(5.0)]
    expect(weights(.init(chosen: 2, isNormalised: false), logits), [0, 0.25, 0.625])
    expect(weights(.init(chosen: 2), logits), [0, 2.0 / 7, 5.0 / 7])
    expect(weights(.init(chosen: 2, factor: 3), logits), [0, 6.0 / 7, 15.0 / 7])
  }

  /// σ is 0.5, 0.75 and 0.25; the correction makes the last one chosen but does not affect its weight.
  @Test func sigmoidWithACorrectionThatOnlyChooses() {
    let logits = [0, log(3.0), -log(3.0)]
    let routing = ExpertRouting(.sigmoid, chosen: 2, factor: 2.5, correction: [0, 0, 1])
    expect(weights(routing, logits), [0, 0.75 * 2.5, 0.25 * 2.5])
    var plain = routing
    plain.isNormalised = false
    expect(weights(plain, logits), [0, 0.75 * 2.5, 0.25 * 2.5])
    plain.correction = nil
    expect(weights(plain, logits), [0.5 * 2.5, 0.75 * 2.5, 0])
  }

  /// Scores 0.9, 0.1 and 0.6, 0.5: the first group has the largest score, the second the larger sum.
  @Test func groupsAreChosenByTheirBest() {
    let logits = [0.9, 0.1, 0.6, 0.5].map { log($0 / (1 - $0)) }
    let routing = { (best: Int) in
      ExpertRouting(
        .sigmoid, chosen: 1, isNormalised: false,
        groups: .init(count: 2, chosen: 1, best: best))
    }
    expect(weights(routing(1), logits), [0.9, 0, 0, 0])
    expect(weights(routing(2), logits), [0, 0, 0.6, 0])
  }

  /// The best expert's weight is its share among those within a third of it, the second one's its share among the
  /// rest.
  @Test func sharesOfThoseNear() {
    let routing = ExpertRouting(.near(1.0 / 3), chosen: 2)
    // (2 − 1.5) / 2 and (1.5 − 1.2) / 1.5 are near, (2 − 1.2) / 2 is not.
    let logits = [1.5, -3, 2, 1.2]
    let share = { (x: Double, y: Double) in exp(x) / (exp(x) + exp(y)) }
    expect(weights(routing, logits), [share(1.5, 1.2), 0, share(2, 1.5), 0])
    // An expert without near ones has weight 1; below 0, an expert's own magnitude counts.
    expect(weights(routing, [4, 2, -1]), [1, 1, 0])
    expect(weights(routing, [-1, -1.4, -9]), [share(-1, -1.4), 1, 0])
  }

  /// Logits so low that σ is 0 in single precision still give weights in proportion.
  @Test func smallScoresKeepTheirRatios() {
    let routing = ExpertRouting(.sigmoid, chosen: 2)
    let (_, weights) = routing(Variable(Matrix<Float>([[-200, -200 + Float(log(3.0)), -300]])))
    #expect(abs(weights.value[0, 0] - 0.25) < 1e-5 && abs(weights.value[0, 1] - 0.75) < 1e-5)
  }

  /// Mixtures whose derivatives are tested.
  enum Kind: String, CaseIterable, CustomTestStringConvertible {
    case normalised, plain, sigmoid, grouped, shared, input, near

    var testDescription: String { rawValue }

    var mixture: ExpertMixture {
      var random = SeededGenerator(seed: 6)
      let linear = { (outputs: Int, inputs: Int) in
        LinearWeights(weights: StoredMatrix(random.normalMatrix(rows: outputs, columns: inputs)))
      }
      let mlp = { (inner: Int) in
        MLPWeights(
          gate: linear(inner, 5), up: linear(inner, 5), down: linear(5, inner), activation: .silu)
      }
      let experts = (0..<4).map { _ in mlp(3) }
      var mixture = ExpertMixture(
        router: linear(4, 5), routing: .init(chosen: 2), experts: .init { experts[$0] })
      switch self {
      case .normalised: break
      case .plain: mixture.routing.isNormalised = false
      case .near: mixture.routing = .init(.near(2), chosen: 2)
      case .sigmoid: mixture.routing = .init(.sigmoid, chosen: 3, factor: 1.7)
      case .grouped:
        mixture.routing = .init(
          .sigmoid, chosen: 2, correction: [0.1, 0, 0.3, 0],
          groups: .init(count: 2, chosen: 1, best: 2))
      case .shared: (mixture.shared, mixture.sharedGate) = (mlp(6), linear(1, 5))
      case .input:
        mixture.routing = .init(.sigmoid, chosen: 1, isNormalised: false)
        mixture.scalesInput = true
      }
      return mixture
    }
  }

  /// J v equals the central difference, and Jᵀ is J's adjoint: truncation h² |f‴| / 6 and rounding ε |f| / h are
  /// below 10⁻⁸ for h = 10⁻⁵ and values and derivatives of size up to 100; no choice changes within h.
  @Test(arguments: Kind.allCases) func derivative(kind: Kind) {
    let mixture = kind.mixture
    var random = SeededGenerator(seed: 7)
    let (x, v, u) = (
      random.normalMatrix(rows: 3, columns: 5), random.normalMatrix(rows: 3, columns: 5),
      random.normalMatrix(rows: 3, columns: 5)
    )
    let jacobian = linearize({ mixture($0) }, at: x)
    let h = 1e-5
    let at = { (step: Double) in
      mixture(
        Variable(
          Matrix(
            rows: 3, columns: 5,
            elements: zip(x.elements, v.elements).map { $0 + step * $1 }))
      ).value.elements
    }
    let jv = jacobian.jvp(v)
    for ((up, down), exact) in zip(zip(at(h), at(-h)), jv.elements) {
      #expect(abs((up - down) / (2 * h) - exact) < 1e-6)
    }
    let dot = { (a: Matrix<Double>, b: Matrix<Double>) in
      zip(a.elements, b.elements).reduce(0) { $0 + $1.0 * $1.1 }
    }
    #expect(abs(dot(u, jv) - dot(jacobian.vjp(u), v)) < 1e-11)
  }
}
