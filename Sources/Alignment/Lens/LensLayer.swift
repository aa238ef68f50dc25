public import LinearAlgebra

/// The part of rank k of an averaged Jacobian J: Σ σᵢ uᵢ vᵢᵀ, and how far it is from J.
public struct LensLayer: Sendable {
  /// σ₁ ≥ σ₂ ≥ … (k).
  public let singularValues: [Double]
  /// (k, d), rows are vectors.
  public let leftVectors: Matrix<Double>
  /// (k, d), rows are vectors.
  public let rightVectors: Matrix<Double>
  /// An estimate of ‖J − Σ σᵢ uᵢ vᵢᵀ‖_F.
  ///
  /// By Pythagoras √(‖W J − its part of rank k‖² + ‖(I − Wᵀ W) J‖²): the first is known, the second what the probes say. The
  /// probes are independent of W, so they need no correction for having been used.
  public let truncationError: Double
  /// An estimate of ‖J‖_F.
  public let frobeniusNorm: Double

  /// Of M J in the directions of a sketch. Throws `LAPACKError` for what is not finite.
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

  /// Σ σᵢ uᵢ vᵢᵀ (d, d).
  public var product: Matrix<Double> { Self.product(singularValues, leftVectors, rightVectors) }

  /// Σ σᵢ uᵢ vᵢᵀ (d, d) of vectors in rows.
  public static func product(
    _ values: [Double], _ left: Matrix<Double>, _ right: Matrix<Double>
  ) -> Matrix<Double> {
    var scaled = right
    for (i, value) in values.enumerated() { for j in 0..<scaled.columns { scaled[i, j] *= value } }
    return .product(left, .transposed, scaled)
  }
}
