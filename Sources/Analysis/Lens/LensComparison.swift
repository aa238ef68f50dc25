import Alignment
import Lanczos
import LinearAlgebra

/// A layer-by-layer comparison of two lenses of one width, with the noise to expect from the choice of prompts.
package struct LensComparison: Codable, Sendable {
  /// The paths of the lenses, as given.
  package let lenses: [String]
  /// The width d.
  package let width: Int
  /// Whether both were fitted on the same prompts; null where one does not say.
  @Nullable package var samePrompts: Bool?
  /// The number of triplets whose subspaces are compared.
  package let rank: Int
  /// One per boundary that both have.
  package let layers: [Layer]

  /// The comparison at one boundary.
  package struct Layer: Codable, Sendable {
    /// The boundary.
    package let fromLayer: Int
    /// ‖A‖_F and ‖B‖_F.
    package let norms: [Double]
    /// ‖A − B‖_F / √(½ (‖A‖² + ‖B‖²)).
    package let distance: Double
    /// The distance expected of two lenses that differ only by their choice of prompts, from the halves of both: √(½ (a² + b²))
    /// over the same denominator, a and b being each lens's own noise. Null if one does not record it.
    @Nullable package var noise: Double?
    /// ⟨A, B⟩ / (‖A‖ ‖B‖); null where one is 0.
    @Nullable package var cosine: Double?
    /// ‖U_Aᵀ U_B‖_F² / k of the k leading left vectors: 1 for the same subspace, k/d by chance.
    package let left: Double
    /// The same of the right vectors.
    package let right: Double
  }

  /// Compares at all boundaries that both have. Throws `RunError.unfit`, `badSetting`, `FileError`.
  package init(_ a: StoredLens, _ b: StoredLens, rank: Int?) throws {
    guard a.width == b.width else {
      throw RunError.unfit(
        path: b.path,
        reason:
          "is a lens of width \(b.width), but \(a.path) has the width \(a.width); compare lenses of the same width"
      )
    }
    let common = a.boundaries.filter(b.boundaries.contains)
    guard !common.isEmpty else {
      throw RunError.unfit(path: b.path, reason: "has no layer in common with \(a.path)")
    }
    let kept = [a, b].flatMap { $0.record?.layers.map(\.rank) ?? [] }.min() ?? a.width
    let k = rank ?? min(10, kept)
    guard (1...kept).contains(k) else {
      throw RunError.badSetting(
        .rank, value: "\(k)", reason: "must be from 1 to \(kept), the number that both lenses have")
    }
    lenses = [a.path, b.path]
    width = a.width
    self.rank = k
    samePrompts = a.record.flatMap { first in b.record.map { first.promptList == $0.promptList } }
    layers = try common.map { l in
      let (x, y) = (try a.matrix(from: l), try b.matrix(from: l))
      let norms = [x.frobeniusNorm, y.frobeniusNorm]
      let size = ((norms[0] * norms[0] + norms[1] * norms[1]) / 2).squareRoot()
      let inner = zip(x.elements, y.elements).reduce(0) { $0 + $1.0 * $1.1 }
      let noises = [a, b].compactMap { lens in
        lens.record?.layers.first { $0.fromLayer == l }?.noise
      }
      let noise = (noises.reduce(0) { $0 + $1 * $1 } / 2).squareRoot()
      let (first, second) = (try Self.subspaces(a, x, l, k), try Self.subspaces(b, y, l, k))
      return Layer(
        fromLayer: l, norms: norms, distance: size > 0 ? (x - y).frobeniusNorm / size : 0,
        noise: noises.count == 2 && size > 0 ? noise / size : nil,
        cosine: norms[0] > 0 && norms[1] > 0 ? inner / norms[0] / norms[1] : nil,
        left: SubspaceOverlap.overlap(first.left, second.left, rank: k),
        right: SubspaceOverlap.overlap(first.right, second.right, rank: k))
    }
  }

  /// The k leading left and right vectors.
  private static func subspaces(
    _ lens: StoredLens, _ matrix: Matrix<Double>, _ boundary: Int, _ k: Int
  ) throws -> (left: Matrix<Double>, right: Matrix<Double>) {
    if let kept = try lens.keptTriplets(from: boundary) {
      guard kept.values.count >= k else {
        throw RunError.badSetting(
          .rank, value: "\(k)",
          reason: "must be from 1 to \(kept.values.count), the number that \(lens.path) has")
      }
      return (kept.left.prefix(k), kept.right.prefix(k))
    }
    let found = try RandomizedSolver().partialSVD(of: DenseOperator(matrix), count: k)
    return (found.leftVectors, found.rightVectors)
  }
}
