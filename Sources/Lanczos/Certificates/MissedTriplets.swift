import LinearAlgebra

/// Looks for triplets that a solver which has converged did not see, and brings them in.
///
/// A Krylov space holds nothing of a singular vector its start vector is orthogonal to, and one vector sees one copy of a
/// repeated value; small residual norms say nothing of what is missing. So the found triplets are held fixed, as a restart
/// holds its Ritz vectors, and a fresh Gaussian block G orthogonal to them grows a space of B = A (I − VᵀV). It ends
/// - with a Ritz value of B above σ_K: something was missed, and the iteration goes on until the K largest triplets of
///   both spaces together have converged; then another block looks again;
/// - or with a proof (`excludes`) that B has no value above σ_K, up to a probability of 10⁻⁶ for each of them;
/// - or, where values lie too close to σ_K to be told apart, with as many vectors as a solve would have used.
struct MissedTriplets {
  let tolerance: Double
  let seed: UInt64
  /// Vectors per application.
  var blockSize = 8
  /// The most right vectors to look with.
  var subspaceDimension = 256

  /// The `found` triplets, or what should be in their place, measured; their residual norms say whether they have converged.
  func completed(_ found: RitzTriplets, of a: CheckedOperator) throws -> RitzTriplets {
    let count = found.values.count
    var best = try refined(found, of: a)
    guard isConverged(best) else { return best }
    // Every round but the last brings at least one triplet in, of a value that was missed.
    for round in 1...count + 1 {
      guard a.inputDimension > count else { break }
      let process = try search(beside: best, of: a, seed: seed &+ UInt64(round))
      guard let process else { break }
      // What the found ones lack beyond their residual norms the process does not see, so that the two together may end
      // a little above the tolerance. Then they are a start block, of which nothing is taken for granted.
      best = try refined(
        iterated(process, of: a, count, tolerance: 4 * tolerance), of: a)
      guard isConverged(best) else { break }
    }
    return best
  }

  private func isConverged(_ triplets: RitzTriplets) -> Bool {
    triplets.residualNorms.max() ?? 0 <= tolerance * triplets.values[0]
  }

  /// The same to the tolerance, or to rounding: an iteration with what they are as its start block.
  private func refined(_ triplets: RitzTriplets, of a: CheckedOperator) throws -> RitzTriplets {
    if isConverged(triplets) { return triplets }
    let process = BlockBidiagonalization(of: a, startingWith: triplets.right)
    return try iterated(process, of: a, triplets.values.count, tolerance: tolerance)
  }

  /// What a process comes to.
  private func iterated(
    _ process: BlockBidiagonalization, of a: CheckedOperator, _ count: Int, tolerance: Double
  ) throws -> RitzTriplets {
    let width = process.pending.rows
    let dimension = max(subspaceDimension, 6 * count + 8 * width)
    let solve = try BlockLanczosSolve(
      process, count: count, tolerance: tolerance,
      subspaceDimension: min(a.inputDimension, dimension), blockSize: width, restartsAllowed: 100)
    try MemberError.ofOne { () throws(MemberError) in
      try BlockLanczosSolver.advance([solve], by: a, width: max(blockSize, count))
    }
    guard let ritz = solve.ritz else { preconditionFailure("the solve is not finished") }
    return ritz
  }

  /// A process that has seen something larger than the last of these values, to go on with; nil when there is nothing.
  private func search(
    beside found: RitzTriplets, of a: CheckedOperator, seed: UInt64
  ) throws -> BlockBidiagonalization? {
    let count = found.values.count
    let width = min(blockSize, a.inputDimension - count)
    let limit = min(a.inputDimension, count + subspaceDimension)
    var process = BlockBidiagonalization(found, seed: seed)
    let start = process.appendRandom(width)
    // What differs by less than residual norms may is the same value.
    let bound = found.values[count - 1] + tolerance * found.values[0]
    while true {
      try process.expand(by: a)
      guard process.isComplete || process.direction == .forward else { continue }
      let outside = try process.outside(locked: count)
      if outside.largest > bound { return process }
      if try process.isComplete || outside.excludes(bound, start: start) { return nil }
      if process.right.count + width > limit { return nil }
    }
  }
}

/// What a space grown beside locked triplets knows of the operator B without them.
///
/// With V = (V₁, …, V_j) applied, V₊ pending and Bᵀ U = V Hᵀ + V₊ H₊ᵀ: every triplet (s, x, y) of B obeys
/// H a + H₊ a₊ = s b and Hᵀ b = s a for a = V x, a₊ = V₊ x, b = U y, so that
///
///     (s² − HᵀH) a = Hᵀ H₊ a₊,   ‖a‖² + ‖a₊‖² ≤ 1.
///
/// For s above all Ritz values, the singular values of H, a₊ determines a, and the start of the space holds but a share ρ
/// of x: ‖R a₁‖ ≤ ρ for R V₁ = G (I − VᵀV) the Gaussian start block. But R a₁ = G x, independent normal numbers for
/// each of the rows of G: ρ below what they exceed with probability 1 − δ rules s out. ρ falls as s rises, like one over
/// a Chebyshev polynomial beyond its interval, so everything above s is ruled out as well.
struct OutsideSpace {
  /// H = Σ σᵢ pᵢ qᵢᵀ, and H₊.
  fileprivate let applied: (left: Matrix<Double>, values: [Double], right: Matrix<Double>)
  fileprivate let pending: Matrix<Double>

  /// The largest Ritz value.
  var largest: Double { applied.values.first ?? 0 }

  /// Whether no value of B is `s` or larger; wrong with probability 10⁻⁶ for each that is. `start` is R.
  func excludes(_ s: Double, start: Matrix<Double>) throws(LAPACKError) -> Bool {
    guard largest < s || largest == 0 else { return false }
    // a = Σ qᵢ σᵢ / (s² − σᵢ²) pᵢᵀ H₊ a₊, as rows for the unit vectors a₊; beside it those vectors themselves.
    var middle = Matrix.product(applied.left, .none, pending)  // (i, a₊)
    for (i, sigma) in applied.values.enumerated() where sigma > 0 {
      let factor = sigma / ((s - sigma) * (s + sigma))
      for j in 0..<middle.columns { middle[i, j] *= factor }
    }
    let a = Matrix.product(middle, .transposed, applied.right)  // (a₊, V)
    var both = Matrix<Double>(rows: a.rows, columns: a.columns + a.rows)
    for i in 0..<a.rows {
      for j in 0..<a.columns { both[i, j] = a[i, j] }
      both[i, a.columns + i] = 1
    }
    let first = both.orthonormalizedRows().narrowed(to: start.columns)
    let share = try Matrix.product(start, .none, first, .transposed).spectralNorm()
    return share < Self.leastNorm(of: start.rows)
  }

  /// What ‖g‖ of p independent normal numbers exceeds with probability 1 − 10⁻⁶ at least.
  ///
  /// P(‖g‖ < η) ≤ (η²/2)^(p/2) / Γ(p/2 + 1), since the density e^(−r²/2) is at most 1.
  static func leastNorm(of p: Int) -> Double {
    let half = Double(p) / 2
    return (2.0).squareRoot()
      * Double.exp((Double.log(1e-6) + Double.logGamma(half + 1)) / Double(p))
  }
}

extension BlockBidiagonalization {
  /// Beyond the first `count` triplets. Precondition: V is pending, or nothing is.
  func outside(locked count: Int) throws(LAPACKError) -> OutsideSpace {
    let rest = projected.dropping(rows: count, columns: count)
    let applied = (isComplete ? right.count : newest) - count
    return OutsideSpace(
      applied: try rest.narrowed(to: applied).singularValueDecomposition(),
      pending: rest.dropping(rows: 0, columns: applied))
  }
}
