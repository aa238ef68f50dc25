import LinearAlgebra

/// What a space grown beside locked triplets proves about the operator B without them.
///
/// Let V and U be the bases beyond the locked vectors, H = U B Vᵀ, and R Q the part of the Gaussian start block G
/// that the locked vectors do not span. Every triplet (s, x, y) of B has coefficients a = V x and b = U y of norm 1
/// at most, and the blocks applied so far relate them. With V₊ pending, H = [H₁, H₊] and a = (a₁, a₊):
///
///     s b = H₁ a₁ + H₊ a₊,  s a₁ = H₁ᵀ b      so that  (s² − H₁ᵀH₁) a₁ = H₁ᵀ H₊ a₊
///
/// and with U₊ pending, H = [H₁; H₊] and b = (b₁, b₊):
///
///     s a = H₁ᵀ b₁ + H₊ᵀ b₊,  s b₁ = H₁ a     so that  (s² − H₁ᵀH₁) a = s H₊ᵀ b₊.
///
/// For s above the singular values of H₁ the pending coefficients determine all others, and only a share ρ of x can
/// lie in the start of the space: ‖R a_start‖ ≤ ρ. But R a_start = G x has one independent normal entry for each row
/// of G, since B and therefore x were fixed before G was drawn. If ρ is below the norm that such a vector exceeds
/// with probability 1 − δ, s is ruled out. ρ falls as s rises, like the reciprocal of a Chebyshev polynomial outside
/// its interval, so everything above s is ruled out as well.
struct OutsideSpace {
  /// The singular values of H₁ = Σ σᵢ pᵢ qᵢᵀ, descending.
  private let values: [Double]
  private let right: Matrix<Double>
  /// (i, pending): pᵢᵀ H₊ with V pending, qᵢᵀ H₊ᵀ with U pending.
  private let coupling: Matrix<Double>
  /// H₊ (pending, V) with U pending; nil with V pending.
  private let pendingRows: Matrix<Double>?
  /// R, the start block's coefficients.
  private let start: Matrix<Double>
  private let space: VectorSpace

  /// The largest Ritz value of H₁, a lower bound of ‖B‖.
  var largest: Double { values.first ?? 0 }
  /// The Ritz values of H₁, descending.
  var ritzValues: [Double] { values }

  /// The space with projected matrix H, of which `applied` vectors have been applied in `direction`, and start block
  /// R, of vectors in `space`.
  init(
    _ h: Matrix<Double>, applied: Int, pending direction: ProductDirection, start: Matrix<Double>,
    in space: VectorSpace
  ) throws(LAPACKError) {
    self.start = start
    self.space = space
    if direction == .forward {
      let (p, values, q) = try space.singularValueDecomposition(h.narrowed(to: applied))
      (self.values, right, pendingRows) = (values, q, nil)
      coupling = .product(p, .none, h.dropping(rows: 0, columns: applied))
    } else {
      let (_, values, q) = try space.singularValueDecomposition(h.prefix(applied))
      let rest = h.dropping(rows: applied, columns: 0)
      (self.values, right, pendingRows) = (values, q, rest)
      coupling = .product(q, .none, rest, .transposed)
    }
  }

  /// ρ divided by the norm that ‖G x‖ exceeds with probability 1 − δ: below 1, no value of B is `s` or larger, wrong
  /// with probability δ.
  ///
  /// Infinite unless s is above all Ritz values.
  func risk(_ s: Double, failureProbability δ: Double) throws(LAPACKError) -> Double {
    guard largest < s else { return largest == 0 && s == 0 ? 0 : .infinity }
    let t = coupling.columns
    // Rows: the coefficients that belong to the unit vectors of the pending block; the first columns are those of V.
    var a = coupling
    var rows: Matrix<Double>
    if let pendingRows {
      // a = (H₊ᵀ + Σ qᵢ σᵢ²/(s² − σᵢ²) qᵢᵀ H₊ᵀ) b₊ / s, and pᵢᵀ b₁ = σᵢ/(s² − σᵢ²) qᵢᵀ H₊ᵀ b₊. As both a and b have norm
      // 1 at most, so has (√ω a, √(1 − ω) b).
      var b = coupling
      for (i, sigma) in values.enumerated() {
        let factor = sigma / ((s - sigma) * (s + sigma))
        for j in 0..<t {
          b[i, j] *= factor
          a[i, j] *= factor * sigma / s
        }
      }
      var all = Matrix.product(a, .transposed, right)  // (b₊, V)
      let (own, others) = (Self.ω.squareRoot(), (1 - Self.ω).squareRoot())
      for i in all.elements.indices { all.elements[i] += pendingRows.elements[i] / s }
      rows = Matrix(rows: t, columns: all.columns + b.rows + t)
      for i in 0..<t {
        for j in 0..<all.columns { rows[i, j] = own * all[i, j] }
        for j in 0..<b.rows { rows[i, all.columns + j] = others * b[j, i] }
        rows[i, all.columns + b.rows + i] = others
      }
    } else {
      // a₁ = Σ qᵢ σᵢ/(s² − σᵢ²) pᵢᵀ H₊ a₊, and a₊ itself.
      for (i, sigma) in values.enumerated() {
        let factor = sigma / ((s - sigma) * (s + sigma))
        for j in 0..<t { a[i, j] *= factor }
      }
      let all = Matrix.product(a, .transposed, right)  // (a₊, V₁)
      rows = all.widened(to: all.columns + t)
      for i in 0..<t { rows[i, all.columns + i] = 1 }
    }
    let first = rows.orthonormalizedRows().narrowed(to: start.columns)
    var share = try Matrix.product(start, .none, first, .transposed).spectralNorm()
    if pendingRows != nil { share /= Self.ω.squareRoot() }
    return space.agreed(
      share / GaussianBlock.leastSingularValue(rows: start.rows, failureProbability: δ))
  }

  /// The weight of a relative to b with U pending: b reaches one block further and is the larger of the two.
  private static let ω = 0.25

  /// The least s that is ruled out, to 1/2⁸ of its distance from the Ritz values; `excluded` is an s known to be
  /// ruled out.
  func bound(
    below excluded: Double?, failureProbability δ: Double
  ) throws(LAPACKError) -> Double {
    var low = largest
    var high = excluded ?? largest * 1.1
    guard high > 0 else { return 0 }
    if excluded == nil {
      while try risk(high, failureProbability: δ) >= 1 { high += high - low }
    }
    for _ in 0..<8 {
      let middle = low + (high - low) / 2
      guard middle > low, middle < high else { break }
      if try risk(middle, failureProbability: δ) < 1 { high = middle } else { low = middle }
    }
    return high
  }
}
