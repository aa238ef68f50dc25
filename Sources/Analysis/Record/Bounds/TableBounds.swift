import Alignment
import LinearAlgebra
import Weights

/// The bounds of a coupling table's entries, row by row, and its invariant readings where clusters leave vectors undetermined.
struct TableBounds {
  /// A Jacobian's triplets, and the noise of its operator.
  typealias Found = (triplets: SingularTriplets, noise: OperatorNoise?)

  private let width: Int
  private let spreads: [JacobianSpread]
  /// The bases' vectors, one basis after another: left ones for the form `same`, otherwise right ones.
  private let left, right: Matrix<Double>
  private let count: Int

  /// The bounds for these bases at this rank.
  init(_ bases: [Found], rank k: Int, width: Int) {
    (self.width, count) = (width, k)
    spreads = bases.map { JacobianSpread($0.triplets, noise: $0.noise, dimension: width) }
    let stacked = { (side: (SingularTriplets) -> Matrix<Double>) in
      Matrix(
        rows: k * bases.count, columns: width,
        elements: bases.flatMap { side($0.triplets).prefix(k).elements })
    }
    (left, right) = (stacked(\.leftVectors), stacked(\.rightVectors))
  }

  /// Whether a cluster affects a basis at this rank.
  func hasClusters(rank k: Int) -> Bool { spreads.contains { $0.clusters.concerns(first: k) } }

  /// The bounds of a row's entries.
  func row(_ own: Found, _ form: CouplingForm, _ couplings: [BlockCoupling]) -> Row {
    let spread = JacobianSpread(own.triplets, noise: own.noise, dimension: width)
    // (K′, d) · (bases · K, d)ᵀ: entry (b, j K + a) = ⟨u_{i,b}, u_{j,a}⟩.
    let products = Engine.products(
      ofRows: own.triplets.leftVectors, form == .same ? left : right)
    return Row(
      couplings: couplings, bases: spreads,
      bounds: zip(couplings, spreads).enumerated().map { j, pair in
        CouplingBound(
          pair.0, own: spread, basis: pair.1,
          overlap: products.columns(j * count..<(j + 1) * count))
      })
  }

  /// A row in every reading; what the readings share is computed once.
  struct Row {
    let couplings: [BlockCoupling]
    let bases: [JacobianSpread]
    let bounds: [CouplingBound?]
    private var known: [Key: [CouplingBound.Numerator?]] = [:]

    private struct Key: Hashable {
      let rank: Int
      let sign: CouplingSign
      let isInvariant: Bool
    }

    fileprivate init(
      couplings: [BlockCoupling], bases: [JacobianSpread], bounds: [CouplingBound?]
    ) {
      (self.couplings, self.bases, self.bounds) = (couplings, bases, bounds)
    }

    /// The bounds of the scores in this reading.
    mutating func scoreBounds(_ s: CouplingSetting, isInvariant: Bool = false) -> [Double?] {
      let key = Key(rank: s.rank, sign: s.sign, isInvariant: isInvariant)
      let errors =
        known[key]
        ?? bounds.map { $0?.numerator(rank: s.rank, sign: s.sign, isInvariant: isInvariant) }
      known[key] = errors
      return zip(couplings, errors).enumerated().map { j, pair in
        let misfit =
          isInvariant
          ? pair.0.invariantMisfit(
            rank: s.rank, clusters: bases[j].clusters, normalisation: s.normalisation)
          : pair.0.misfit(rank: s.rank, sign: s.sign, normalisation: s.normalisation)
        guard let misfit, let error = pair.1?.misfitBound(s.normalisation) else { return nil }
        return s.score.bound(misfit: misfit, error)
      }
    }

    /// The scores that do not depend on rotations inside clusters.
    func invariants(_ s: CouplingSetting) -> [Double?] {
      zip(couplings, bases).map {
        $0.invariantMisfit(rank: s.rank, clusters: $1.clusters, normalisation: s.normalisation)
          .map(s.score.callAsFunction)
      }
    }
  }
}

extension Matrix<Double> {
  /// Some of the columns.
  fileprivate func columns(_ range: Range<Int>) -> Matrix {
    Matrix(
      rows: rows, columns: range.count,
      elements: (0..<rows).flatMap { r in
        elements[r * columns + range.lowerBound..<r * columns + range.upperBound]
      })
  }
}
