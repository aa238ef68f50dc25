public import LinearAlgebra
import RealModule

/// A bound on the difference between the coupling of a pair and that of the Jacobians in exact arithmetic.
///
/// N = ‖A* − S‖_F with A = Uⱼᵀ Jᵢ Vⱼ, K × K. True vectors vₐ = Σ_b p_b v̂_b + p′ have a part of norm ‖p′‖ ≤ θₐ
/// outside the found ones and components |p_b| ≤ β_ab along other found ones, and so do left vectors
/// (`TripletBounds`). With D = A* − S, G = D/N, to first order
///
///     ΔN = Σₐ ⟨p′ₐ, Jᵢᵀ Uⱼ G eₐ⟩ + ⟨q′ₐ, Jᵢ Vⱼ Gᵀ eₐ⟩ + Σ_ab (p_ab (Aᵀ G)_ba + q_ab (A Gᵀ)_ba) + ⟨G, Uⱼᵀ Eᵢ Vⱼ − ΔS⟩
///
/// **Directions.** p′ₐ and q′ₐ lie in the d − K′ dimensions outside the found triplets and result from a random start
/// block and from rounding: changing the signs of the start block's components along the true singular vectors
/// changes the signs of p′ₐ and nothing else. For a vector w that is independent of it, ⟨p′ₐ, w⟩ then has mean 0 and,
/// for a generic w, variance ‖p′ₐ‖² ‖P w‖² / (d − K′), where P is the projector onto the outside; contributions of
/// different a and sides are uncorrelated. The same is assumed of rounding errors (N. Higham and T. Mary, SIAM J.
/// Sci. Comput. 41, 2019). So the bound is the square root of
///
///     Var = Σₐ (θₐ² + Σ_{b > K} β_ab²) (‖P Jᵢᵀ Uⱼ G eₐ‖² + ‖P Jᵢ Vⱼ Gᵀ eₐ‖²) / (d − K′)
///         + 2 Σ_ab β_ab² ((Aᵀ G)_ba² + (A Gᵀ)_ba²) + e² + Σₐ (∂N/∂sₐ · Δsₐ)²
///
/// with θ, β, e (entries of Eᵢ) and Δs at the number of standard deviations given by `JacobianSpread`. It is not a
/// worst case, in which p′ₐ is parallel to w: that is larger by a factor of √(d − K′) or more. The norms are computed
/// from known quantities: the images' Gram matrix C gives ‖Jᵢ Vⱼ h‖² = hᵀ C h and, with i's own triplets, O = Uᵢᵀ Uⱼ
/// and S a bound on the part outside them,
///
///     ‖Jᵢᵀ Uⱼ g‖² ≤ Σ_b max(σ_b² − S², 0) (O g)_b² + S² ‖g‖².
///
/// **Remainder.** N is convex, N + ⟨G, Δ⟩ ≤ ‖D + Δ‖ ≤ N + ⟨G, Δ⟩ + ‖Δ‖²/(2N), and changes by at most ‖Δ‖; the terms
/// of second order in ωₐ² = θₐ² + Σ β_ab² are Σ ωₐ² (σ_{i,1} + ‖A‖_F). In |A|, entries smaller than their error may
/// change sign.
public struct CouplingBound {
  /// The coupling, whose images (K, K) and (K′, K) the bound uses.
  let coupling: BlockCoupling
  let gram: Matrix<Double>
  let own: JacobianSpread
  let basis: JacobianSpread
  let overlap: Matrix<Double>

  /// Creates a bound for a coupling that has its images' Gram matrix; nil without it. `overlap` (K′, K) contains the
  /// products of i's found vectors on the side of Jᵢ's outputs, as rows, with the vectors of j that images are
  /// compared with.
  public init?(
    _ coupling: BlockCoupling, own: JacobianSpread, basis: JacobianSpread, overlap: Matrix<Double>
  ) {
    guard let gram = coupling.imageGram, overlap.columns >= coupling.rank,
      overlap.rows <= own.values.count, basis.outside.count >= coupling.rank
    else { return nil }
    (self.coupling, self.gram, self.own, self.basis) = (coupling, gram, own, basis)
    self.overlap = overlap
  }

  /// N and its bound, which readings in different norms have in common.
  public struct Numerator: Sendable {
    /// The numerator N.
    public let value: Double
    /// A bound on |ΔN|.
    public let bound: Double
    fileprivate let singularValues, errors: [Double]

    /// A bound on |Δm| of the misfit m = N/‖s‖_p; nil if m is not certain to be defined.
    public func misfitBound(_ normalisation: CouplingNormalisation) -> Double? {
      let size = normalisation.norm(singularValues)
      guard size > 0, size.isFinite else { return nil }
      // ∂‖s‖_p/∂sₐ = (sₐ/‖s‖_p)^(p − 1)
      let change = zip(singularValues, errors).reduce(0) {
        let slope = Double.pow($1.0 / size, normalisation.exponent - 1) * $1.1
        return $0 + slope * slope
      }.squareRoot()
      guard size > change else { return nil }
      let result = (bound + value / size * change) / (size - change)
      return result.isFinite ? result : nil
    }
  }

  /// N at this rank and sign; with `isInvariant`, that of the misfit that does not depend on rotations within
  /// clusters.
  public func numerator(rank k: Int, sign: CouplingSign, isInvariant: Bool = false) -> Numerator {
    let parts = isInvariant ? basis.clusters.partition(of: k) : (0..<k).map { $0..<$0 + 1 }
    let values = Array(coupling.singularValues.prefix(k))
    let (norm, error) = numerator(k, sign, parts, values)
    return Numerator(
      value: norm, bound: error, singularValues: values, errors: Array(own.valueErrors.prefix(k)))
  }

  /// N and the bound on |ΔN|.
  private func numerator(
    _ k: Int, _ sign: CouplingSign, _ parts: [Range<Int>], _ s: [Double]
  ) -> (Double, Double) {
    let a = coupling.matrix
    let all = coupling.rank
    // G · N, and what S contributes to its diagonal: its mean over each cluster.
    var g = Matrix<Double>(rows: k, columns: k)
    for r in 0..<k { for c in 0..<k { g[r, c] = sign == .signed ? a[r, c] : abs(a[r, c]) } }
    var slopes = [Double](repeating: 0, count: k)
    var square = 0.0
    for part in parts {
      let n = Double(part.count)
      let mean = part.reduce(0) { $0 + s[$1] } / n
      let trace = part.reduce(0) { $0 + g[$1, $1] } / n
      for i in part {
        slopes[i] = s[i] - trace
        g[i, i] -= mean
        square += (s[i] - mean) * (s[i] - mean)
      }
    }
    square += g.elements.reduce(0) { $0 + $1 * $1 }
    let norm = square.squareRoot()
    let unit = norm > 0 ? 1 / norm : 0
    for r in 0..<k {
      slopes[r] *= unit
      for c in 0..<k {
        let isFlipped = sign == .absolute && a[r, c] < 0
        g[r, c] *= isFlipped ? -unit : unit
      }
    }
    // (K, k): M₁ = A Gᵀ, M₂ = Aᵀ G over the first k columns or rows of A.
    let (columns, rows) = (a.columns(k), a.prefix(k))
    let m1 = Matrix.product(columns, .none, g, .transposed)
    let m2 = Matrix.product(rows, .transposed, g, .none)
    let hc = Matrix.product(g, .none, gram.prefix(k).columns(k), .none)
    let og = Matrix.product(overlap.columns(k), .none, g, .none)
    let whole = wholeNorms(k)
    let rest = own.rest * own.rest
    var (first, change, lean) = (own.noise * own.noise, 0.0, 0.0)
    change = own.noise * own.noise * Double(k * k)
    for i in 0..<k {
      var (w1, w2, own1) = (0.0, 0.0, 0.0)
      for c in 0..<k {
        w1 += hc[i, c] * g[i, c]
        own1 += g[c, i] * g[c, i]
      }
      w2 = rest * own1
      for b in 0..<og.rows {
        w2 += max(0, own.values[b] * own.values[b] - rest) * og[b, i] * og[b, i]
      }
      var (out, mix, size) = (basis.outside[i] * basis.outside[i], 0.0, 0.0)
      let isOwn = parts.first { $0.contains(i) } ?? i..<i + 1
      for b in 0..<basis.mixing.columns where b != i {
        // A common rotation within a cluster changes nothing.
        let beta = isOwn.contains(b) ? 0 : basis.mixing[i, b]
        if b >= all {
          out += beta * beta
        } else {
          mix += beta * beta * (m1[b, i] * m1[b, i] + m2[b, i] * m2[b, i])
          size += beta * beta * whole.entries[b]
        }
        lean += beta * beta
      }
      for b in 0..<all {
        w1 -= m1[b, i] * m1[b, i]
        w2 -= m2[b, i] * m2[b, i]
      }
      lean += basis.outside[i] * basis.outside[i]
      let value = own.valueErrors[i]
      first +=
        out * (max(0, w1) + max(0, w2)) / basis.dimensions + 2 * mix
        + slopes[i] * slopes[i] * value * value
      change += out * whole.outside / basis.dimensions + 2 * size + value * value
    }
    let second = lean * ((own.values.first ?? 0) + whole.matrix)
    let size = change.squareRoot()
    var linear = norm > 0 ? first.squareRoot() + change / (2 * norm) : .infinity
    if sign == .absolute { linear += kinks(a, g, k, error: size / Double(k)) }
    return (norm, min(linear, size) + second)
  }

  /// The change of magnitudes beyond first order, from entries whose sign is uncertain.
  private func kinks(_ a: Matrix<Double>, _ g: Matrix<Double>, _ k: Int, error: Double) -> Double {
    var square = 0.0
    for r in 0..<k {
      for c in 0..<k {
        let beyond = 2 * abs(g[r, c]) * max(0, JacobianSpread.deviations * error - abs(a[r, c]))
        square += beyond * beyond
      }
    }
    return square.squareRoot()
  }

  /// ‖P Jᵢ V_k‖² + ‖P Jᵢᵀ U_k‖²; for every found b the squares of A's row and column; and ‖A‖_F.
  private func wholeNorms(_ k: Int) -> (outside: Double, entries: [Double], matrix: Double) {
    let a = coupling.matrix
    let rest = own.rest * own.rest
    var entries = [Double](repeating: 0, count: a.rows)
    var (outside, square) = (Double(k) * rest, 0.0)
    for b in 0..<a.rows {
      for c in 0..<k { entries[b] += a[b, c] * a[b, c] + a[c, b] * a[c, b] }
      outside -= entries[b]
      if b < k { square += (0..<k).reduce(0) { $0 + a[b, $1] * a[b, $1] } }
    }
    for c in 0..<k {
      outside += gram[c, c]
      for b in 0..<overlap.rows {
        outside += max(0, own.values[b] * own.values[b] - rest) * overlap[b, c] * overlap[b, c]
      }
    }
    return (max(0, outside), entries, square.squareRoot())
  }
}

extension Matrix<Double> {
  /// The first `count` columns.
  fileprivate func columns(_ count: Int) -> Matrix {
    guard count < columns else { return self }
    var result = Matrix(rows: rows, columns: count)
    for r in 0..<rows { for c in 0..<count { result[r, c] = self[r, c] } }
    return result
  }
}

extension BlockCoupling {
  /// The misfit of this rank if single vectors are not determined: the root mean square over all rotations Q of the u
  /// and v together within the clusters of j's values.
  ///
  ///     E ‖QᵀAQ − S‖² = ‖A‖² + ‖S‖² − 2 Σ_c tr A_cc tr S_c / n_c = ‖A − S̄‖² + Σ_c ‖S_c − S̄_c‖²,   S̄_c = (tr S_c / n_c) I
  ///
  /// over the clusters c of n_c values, including single ones, since E QᵀA_ccQ = (tr A_cc / n_c) I over the
  /// orthogonal group. tr A_cc = tr(Jᵢ V_c U_cᵀ) depends only on the pair of subspaces, not on the vectors chosen in
  /// them. Without clusters, it is m. nil if the rank cuts a cluster, and where `misfit` is nil.
  public func invariantMisfit(
    rank k: Int, clusters: SingularClusters, normalisation: CouplingNormalisation = .frobenius
  ) -> Double? {
    let s = singularValues.prefix(k)
    let norm = normalisation.norm(s)
    guard !clusters.isCut(after: k), norm > 0, norm.isFinite else { return nil }
    var square = 0.0
    for part in clusters.partition(of: k) {
      let mean = part.reduce(0) { $0 + s[$1] } / Double(part.count)
      for a in part {
        let off = (s[a] - mean) / norm
        square += off * off
        for b in 0..<k {
          let difference = (matrix[a, b] - (a == b ? mean : 0)) / norm
          square += difference * difference
        }
      }
    }
    return square.isFinite ? square.squareRoot() : nil
  }
}
