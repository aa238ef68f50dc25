public import LinearAlgebra

/// An operator with chosen singular values: A = U diag(σ) Vᵀ with seeded random orthonormal U (m, r) and V (n, r).
public func operatorWithSpectrum(
  _ values: [Double], rows m: Int, columns n: Int, seed: UInt64
) -> DenseOperator {
  var generator = SeededGenerator(seed: seed)
  let r = values.count
  let u = generator.normalMatrix(rows: r, columns: m).orthonormalizedRows()
  let v = generator.normalMatrix(rows: r, columns: n).orthonormalizedRows()
  var scaled = v
  for i in 0..<r { for j in 0..<n { scaled[i, j] *= values[i] } }
  return DenseOperator(.product(u, .transposed, scaled))
}
