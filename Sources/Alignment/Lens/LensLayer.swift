public import LinearAlgebra

/// The rank-k approximation of an averaged Jacobian J, Σ σᵢ uᵢ vᵢᵀ, and its distance from J.
public struct LensLayer: Sendable {
  /// σ₁ ≥ σ₂ ≥ … (k).
  public let singularValues: [Double]
  /// The left vectors uᵢ as rows, (k, d).
  public let leftVectors: Matrix<Double>
  /// The right vectors vᵢ as rows, (k, d).
  public let rightVectors: Matrix<Double>
  /// An estimate of ‖J − Σ σᵢ uᵢ vᵢᵀ‖_F.
  ///
  /// It is √(‖W J − its rank-k approximation‖² + ‖(I − Wᵀ W) J‖²), by Pythagoras: the first term is known, the second
  /// is estimated with the probes. The probes are independent of W, so no correction for their use is needed.
  public let truncationError: Double
  /// An estimate of ‖J‖_F.
  public let frobeniusNorm: Double

  /// The approximation from M J in the directions of a sketch. Throws `LAPACKError` if a number is not finite.
  public init(_ product: Matrix<Double>, in sketch: LensSketch, rank: Int) throws(LAPACKError) {
    let s = sketch.basis.rows
    let inside = product.prefix(s)
    let outside = product.rows(s..<product.rows)
    let (left, values, right) = try inside.singularValueDecomposition()
    let k = min(rank, values.count)
    singularValues = Array(values[..<k])
    // W J = Q Σ Vᵀ, so that J ≈ Wᵀ Q Σ Vᵀ.
    leftVectors = .product(left.prefix(k), .none, sketch.basis)
    rightVectors = right.prefix(k)
    let missed = outside.frobeniusNorm
    let cut = values[k...].reduce(0) { $0 + $1 * $1 }
    truncationError = (cut + missed * missed).squareRoot()
    frobeniusNorm = product.frobeniusNorm
  }

  /// The matrix Σ σᵢ uᵢ vᵢᵀ (d, d).
  public var product: Matrix<Double> { Self.product(singularValues, leftVectors, rightVectors) }

  /// The matrix Σ σᵢ uᵢ vᵢᵀ (d, d) for vectors given as rows.
  public static func product(
    _ values: [Double], _ left: Matrix<Double>, _ right: Matrix<Double>
  ) -> Matrix<Double> {
    var scaled = right
    for (i, value) in values.enumerated() { for j in 0..<scaled.columns { scaled[i, j] *= value } }
    return .product(left, .transposed, scaled)
  }
}
