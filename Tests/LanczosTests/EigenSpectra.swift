import ComplexModule
import LinearAlgebra
import RealModule
import TestSupport

/// A real matrix with chosen eigenvalues, normal or not, and the number to request.
struct EigenProblem: Sendable, CustomStringConvertible {
  let name: String
  /// The real eigenvalues, and of every pair the one with the positive imaginary part.
  let values: [Complex<Double>]
  /// The deviation of the basis from orthogonality: the condition number of its random part is about 10 for 1, and 1
  /// for 0.
  let skew: Double
  let count: Int
  var description: String { "\(name), k = \(count)" }

  init(_ name: String, _ values: [Complex<Double>], skew: Double = 0, count: Int) {
    (self.name, self.values, self.skew, self.count) = (name, values, skew, count)
  }

  init(_ name: String, real values: [Double], skew: Double = 0, count: Int) {
    self.init(name, values.map { Complex($0, 0) }, skew: skew, count: count)
  }

  /// All n eigenvalues, in descending order of modulus.
  var all: [Complex<Double>] {
    values.flatMap { $0.imaginary == 0 ? [$0] : [$0, $0.conjugate] }
      .sorted { $0.length > $1.length }
  }

  /// A = S D S⁻¹: D has the real eigenvalues and blocks [[α, β], [−β, α]] on its diagonal, S is orthogonal times
  /// I + skew · N with N strictly upper triangular, so that its inverse is a short sum.
  func matrix(seed: UInt64 = 3) -> Matrix<Double> {
    let n = all.count
    var d = Matrix<Double>(rows: n, columns: n)
    var i = 0
    for value in values {
      d[i, i] = value.real
      if value.imaginary != 0 {
        (d[i, i + 1], d[i + 1, i], d[i + 1, i + 1]) = (
          value.imaginary, -value.imaginary, value.real
        )
        i += 1
      }
      i += 1
    }
    var generator = SeededGenerator(seed: seed)
    let q = generator.normalMatrix(rows: n, columns: n).orthonormalizedRows()
    var (s, inverse) = (Matrix<Double>.identity(n), Matrix<Double>.identity(n))
    // The product of many I + c eⱼ eᵢᵀ with i < j: the inverse of each is I − c eⱼ eᵢᵀ.
    for _ in 0..<(skew > 0 ? 2 * n : 0) {
      let j = Int(generator.next() % UInt64(n - 1)) + 1
      let i = Int(generator.next() % UInt64(j))
      let c = skew * generator.normal()
      for k in 0..<n { s[k, i] += c * s[k, j] }
      for k in 0..<n { inverse[j, k] -= c * inverse[i, k] }
    }
    let core = Matrix.product(.product(s, .none, d), .none, inverse)
    return .product(.product(q, .transposed, core), .none, q)
  }
}

private func spiral(_ n: Int, decay: Double, angle: Double) -> [Complex<Double>] {
  (0..<n).map { Complex(length: Double.pow(decay, Double($0)), phase: angle * Double($0 % 5 + 1)) }
}

let eigenProblems: [EigenProblem] = [
  EigenProblem("decaying, normal", real: (0..<60).map { Double.pow(0.8, Double($0)) }, count: 6),
  EigenProblem(
    "signs alternate", real: (0..<60).map { ($0 % 2 == 0 ? 1 : -1) * Double.pow(0.85, Double($0)) },
    skew: 0.3, count: 7),
  EigenProblem("pairs", spiral(30, decay: 0.85, angle: 0.5), count: 6),
  EigenProblem("pairs, cut in the middle", spiral(30, decay: 0.85, angle: 0.5), count: 5),
  EigenProblem("pairs, not normal", spiral(30, decay: 0.85, angle: 0.5), skew: 0.5, count: 8),
  EigenProblem(
    "real and pairs",
    [Complex(3, 0)] + spiral(25, decay: 0.9, angle: 0.7).map { $0 * Complex(2, 0) }
      + (0..<20).map { Complex(0.02 * Double($0), 0) }, skew: 0.4, count: 9),
  EigenProblem(
    "identity plus a few",
    real: [4, 3, -2.5, 2, 1.7, 1.4] + (0..<60).map { 1 + 0.002 * Double($0 % 7) }, skew: 0.2,
    count: 5),
  EigenProblem("k = 1", spiral(20, decay: 0.7, angle: 0.3), skew: 0.2, count: 1),
  EigenProblem("k = n", spiral(6, decay: 0.7, angle: 0.3), skew: 0.2, count: 12),
  EigenProblem("k = n − 1", spiral(6, decay: 0.7, angle: 0.3), skew: 0.2, count: 11),
  EigenProblem("k = n − 3", spiral(8, decay: 0.7, angle: 0.3), skew: 0.2, count: 13),
  EigenProblem("tiny values", real: (0..<40).map { 1e-20 * Double.pow(0.8, Double($0)) }, count: 4),
  EigenProblem("huge values", real: (0..<40).map { 1e20 * Double.pow(0.8, Double($0)) }, count: 4),
  EigenProblem("1 × 1", real: [-5], count: 1),
  EigenProblem("2 × 2", [Complex(1, 2)], count: 2),
]
