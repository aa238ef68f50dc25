import Lanczos
import LinearAlgebra
import TestSupport
import Testing

/// The factorisation when iterated from outside.
@Suite struct FactorisationTests {
  private func matrix(_ basis: OrthonormalBasis) -> Matrix<Double> { basis.vectors(from: 0) }

  /// After every step A V = U H and Aᵀ U = V Hᵀ, except for the pending block, and the residual norms agree with
  /// products. 1e-12: about a hundred rounding errors at sizes ≤ 50 and values ≤ 56.
  @Test(arguments: [1, 3, 7], [(50, 30), (30, 30), (30, 50)])
  func everyStepIsAFactorisation(block: Int, shape: (Int, Int)) throws {
    let given = operatorWithSpectrum(jacobianLike(30), rows: shape.0, columns: shape.1, seed: 1)
    let a = CheckedOperator(given, isTall: true)
    let dense = a.isTransposed ? given.matrix.transposed : given.matrix
    var process = BlockBidiagonalization(of: a, blockSize: block, seed: 4)
    var steps = 0
    while try process.expand(by: a) {
      steps += 1
      let (u, v, h) = (matrix(process.left), matrix(process.right), process.projected)
      #expect(orthonormalityDefect(u) < 1e-13 && orthonormalityDefect(v) < 1e-13)
      #expect(h.rows == process.left.count && h.columns == process.right.count)
      // On the side that is fully applied: A V = U H with U pending, Aᵀ U = V Hᵀ with V pending.
      let (x, y, small) = process.direction == .adjoint ? (v, u, h.transposed) : (u, v, h)
      let products =
        process.direction == .adjoint
        ? Matrix.product(x, .none, dense, .transposed) : .product(x, .none, dense)
      #expect((products - .product(small, .none, y)).frobeniusNorm < 1e-12 * 56)

      let ritz = try process.ritzTriplets(5)
      #expect(ritz.values.count <= 5 && ritz.values == ritz.values.sorted(by: >))
      for i in ritz.values.indices {
        let (p, q) = (Matrix([Array(ritz.left.row(i))]), Matrix([Array(ritz.right.row(i))]))
        let forward = norm(.product(q, .none, dense, .transposed), minus: ritz.values[i], p)
        let backward = norm(.product(p, .none, dense), minus: ritz.values[i], q)
        #expect(abs(max(forward, backward) - ritz.residualNorms[i]) < 1e-12 * 56)
      }
    }
    // One block per step; the last bases span the whole space.
    #expect(process.isComplete && process.right.count == 30)
    #expect(a.applications[0].passes == steps)
    let all = try process.ritzTriplets(30)
    for (value, wanted) in zip(all.values, jacobianLike(30)) {
      #expect(abs(value - wanted) < 1e-12 * 56)
    }
  }

  private func norm(_ x: Matrix<Double>, minus s: Double, _ y: Matrix<Double>) -> Double {
    Matrix([zip(x.elements, y.elements).map { $0 - s * $1 }]).frobeniusNorm
  }

  /// Values increase to the true ones from below, and a start block that spans the answer gives it at once.
  @Test func aStartBlockOfOnesOwn() throws {
    let given = operatorWithSpectrum(jacobianLike(60), rows: 60, columns: 60, seed: 2)
    let oracle = try DenseSolver().partialSVD(of: given, count: 3)
    let a = CheckedOperator(given, isTall: true)
    var process = BlockBidiagonalization(of: a, startingWith: oracle.rightVectors)
    for _ in 0..<2 { try process.expand(by: a) }
    let ritz = try process.ritzTriplets(3)
    #expect(ritz.residualNorms.allSatisfy { $0 < 1e-12 * 56 })
    var random = BlockBidiagonalization(of: a, blockSize: 3, seed: 1)
    var last = 0.0
    while try random.expand(by: a) {
      guard let value = try random.ritzTriplets(1).values.first else { continue }
      #expect(value >= last - 1e-12 * 56 && value <= oracle.singularValues[0] + 1e-12 * 56)
      last = value
    }
  }
}
