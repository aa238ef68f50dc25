import Alignment
import LinearAlgebra

/// A random Jacobian J = U diag(s) Vᵀ (d, d) with all its triplets, exact by construction.
struct RandomJacobian {
  let matrix: Matrix<Double>
  let triplets: SingularTriplets
  var operatorForm: DenseOperator { DenseOperator(matrix) }

  init(_ values: [Double], width d: Int, generator: inout SeededGenerator) {
    let u = generator.normalMatrix(rows: values.count, columns: d).orthonormalizedRows()
    let v = generator.normalMatrix(rows: values.count, columns: d).orthonormalizedRows()
    self.init(u: u, values: values, v: v)
  }

  init(u: Matrix<Double>, values: [Double], v: Matrix<Double>) {
    var scaled = v
    for i in 0..<v.rows { for j in 0..<v.columns { scaled[i, j] *= values[i] } }
    matrix = .product(u, .transposed, scaled)
    triplets = SingularTriplets(
      singularValues: values, leftVectors: u, rightVectors: v,
      residualNorms: Array(repeating: 0, count: values.count),
      report: ConvergenceReport(
        outcome: .converged, solver: "dense", requested: values.count, converged: values.count,
        restarts: 0, applications: ApplicationCount(), subspaceDimension: values.count,
        tolerance: 0, seed: 0))
  }

  /// c J for c > 0.
  func scaled(by c: Double) -> RandomJacobian {
    RandomJacobian(
      u: triplets.leftVectors, values: triplets.singularValues.map { c * $0 },
      v: triplets.rightVectors)
  }

  /// The coupling of this Jacobian in the basis of another.
  func coupling(
    in other: RandomJacobian, rank k: Int, form: CouplingForm = .same
  ) -> BlockCoupling {
    BlockCoupling(
      form: form, of: operatorForm, singularValues: Array(triplets.singularValues.prefix(k)),
      inBasisOf: other.triplets)
  }
}

/// A decaying spectrum s_k = 3 · 0.85^k, k < count.
func decaying(_ count: Int) -> [Double] {
  var values: [Double] = []
  var value = 3.0
  for _ in 0..<count {
    values.append(value)
    value *= 0.85
  }
  return values
}

/// The rows of a matrix, each multiplied by its sign.
func withSigns(_ matrix: Matrix<Double>, _ signs: [Double]) -> Matrix<Double> {
  var result = matrix
  for i in 0..<matrix.rows { for j in 0..<matrix.columns { result[i, j] *= signs[i] } }
  return result
}
