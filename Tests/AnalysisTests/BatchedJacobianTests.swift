import Autodiff
import Checkpoint
import LinearAlgebra
import Model
import TestSupport
import Testing

@testable import Analysis

/// Jacobians applied together give the same as Jacobians applied one by one, whichever of them are still active.
struct BatchedJacobianTests {
  private static let prompts = [[5, 3, 9, 7], [1, 2, 3], [8, 8], [4, 6, 2, 2, 9], [10, 11]]

  /// Subsets of a shrinking and growing set of Jacobians, including the full set and a single Jacobian.
  private static let subsets = [
    [0, 1, 2, 3, 4], [0, 2, 3, 4], [2, 3, 4], [2, 4], [4], [0, 1], [1, 2, 3], [0, 1, 2, 3, 4], [0],
  ]

  private func jacobians(
    _ model: some Transformer
  ) throws -> (together: BatchedJacobian<Double>, apart: [Linearization<Double>]) {
    var states = try HiddenStates<Double>(Self.prompts, in: model)
    _ = try states.advance(through: model)
    let point = try states.advance(through: model)
    let linearize = { (members: [Int]) in
      residualJacobian(
        model, at: point, members.map { ($0, TokenSelection(Self.prompts[$0].count - 1)) })
    }
    let all = Array(Self.prompts.indices)
    return (BatchedJacobian(linearize(all), linearize), all.map { linearize([$0]) })
  }

  @Test(arguments: ModelFixture.all, [1, 3])
  func subsetsAreTheSingleOperators(fixture: ModelFixture, vectors b: Int) throws {
    let model = try loadTransformer(CheckpointDirectory(opening: fixture.folder))
    let (together, apart) = try jacobians(model)
    #expect(together.batch == apart.count)
    let (n, m) = (together.inputDimension, together.outputDimension)
    var generator = SeededGenerator(seed: 3)
    for active in Self.subsets {
      let v = generator.normalMatrix(rows: active.count * b, columns: n)
      let u = generator.normalMatrix(rows: active.count * b, columns: m)
      // Filled with NaN, so that entries that are not written show.
      var y = Matrix<Double>(rows: v.rows, columns: m, repeating: .nan)
      var x = Matrix<Double>(rows: u.rows, columns: n, repeating: .nan)
      var span = y.elements.mutableSpan
      together.apply(v.elements.span, into: &span, vectors: b, active: active)
      span = x.elements.mutableSpan
      together.applyAdjoint(u.elements.span, into: &span, vectors: b, active: active)
      for (place, p) in active.enumerated() {
        for k in place * b..<(place + 1) * b {
          let (vk, uk) = (Matrix([Array(v.row(k))]), Matrix([Array(u.row(k))]))
          let (av, atu) = (apart[p].apply(vk), apart[p].applyAdjoint(uk))
          // The sums have another order: some ε √d of the norm.
          expectClose(y.row(k), av.elements, av.frobeniusNorm)
          expectClose(x.row(k), atu.elements, atu.frobeniusNorm)
          // ⟨J v, u⟩ = ⟨v, Jᵀ u⟩
          let (a, c) = (dot(y.row(k), u.row(k)), dot(v.row(k), x.row(k)))
          let size = av.frobeniusNorm * uk.frobeniusNorm + vk.frobeniusNorm * atu.frobeniusNorm
          #expect(abs(a - c) <= 1e-13 * size)
        }
      }
    }
  }

  private func dot(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>) -> Double {
    zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
  }

  private func expectClose(
    _ a: ArraySlice<Double>, _ b: [Double], _ norm: Double,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let worst = zip(a, b).reduce(0.0) { max($0, ($1.0 - $1.1).magnitude) }
    #expect(
      worst <= 1e-13 * norm && a.allSatisfy(\.isFinite), sourceLocation: sourceLocation)
  }
}
