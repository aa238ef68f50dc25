public import LinearAlgebra
import Weights

/// How much two spaces of leading singular vectors overlap, regardless of the order and the gaps within them.
///
///     left = ‖U_{i,K}ᵀ U_{j,K}‖_F² / K,    right = ‖V_{i,K}ᵀ V_{j,K}‖_F² / K,    both in [0, 1]
///
/// 1 iff the spaces are equal, 0 iff they are orthogonal, K/d on average for independent ones. Symmetric in i and j.
/// It is the "projection" of the released code of Aubry et al., arXiv 2407.07810; the chance level is derived here: a
/// unit vector has a mean squared component K/d in a random space of dimension K.
public struct SubspaceOverlap: Sendable, Equatable, Codable {
  /// The overlap of the left vectors.
  public let left: Double
  /// The overlap of the right vectors.
  public let right: Double

  /// The overlap of the first K vectors of each side. Cost: 2 K² d. Precondition: both have K triplets.
  public init(_ i: SingularTriplets, _ j: SingularTriplets, rank k: Int) {
    left = Self.overlap(i.leftVectors, j.leftVectors, rank: k)
    right = Self.overlap(i.rightVectors, j.rightVectors, rank: k)
  }

  /// ‖PᵀQ‖_F² / K of two lists of orthonormal rows (≥ K, d).
  public static func overlap(
    _ p: Matrix<Double>, _ q: Matrix<Double>, rank k: Int
  ) -> Double {
    precondition(k >= 1 && k <= p.rows && k <= q.rows, "rank \(k) of \(p.rows) and \(q.rows)")
    let cosines = Engine.products(ofRows: p.prefix(k), q.prefix(k))  // (K, K)
    return cosines.elements.reduce(0) { $0 + $1 * $1 } / Double(k)
  }

  /// A bound on the errors of `left` and `right` if the spaces have errors ‖sin Θ‖_F of at most `i` and `j`.
  ///
  /// ‖UᵢᵀUⱼ‖_F² = tr Pᵢ Pⱼ, and a projector changes by √2 ‖sin Θ‖_F: |Δ| ≤ √2 (‖sin Θᵢ‖ + ‖sin Θⱼ‖) √K / K, and at
  /// most 1.
  public static func bound(_ i: Double, _ j: Double, rank k: Int) -> Double {
    min(1, (2 / Double(k)).squareRoot() * (i + j))
  }

  /// K/d, the mean overlap of independent spaces.
  public static func chance(rank k: Int, width d: Int) -> Double { Double(k) / Double(d) }
}
