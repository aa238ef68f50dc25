import LinearAlgebra

/// What the space of a solve itself proves, without a product: how many singular values of A lie above some s.
///
/// Let the space start from a Gaussian block G = R V_start (b, n). Every triplet (s, x, y) of A has coefficients a = V x
/// and b = U y of norm 1 at most, which the blocks applied so far relate as in `OutsideSpace`. With the eigenpairs
/// (θᵢ², qᵢ) of H₁ᵀH₁, the Ritz values and their vectors,
///
///     qᵢᵀ a = φᵢ(s) cᵢᵀ a₊,  cᵢ = H₊ᵀ H₁ qᵢ,  φᵢ = 1 / (s² − θᵢ²)     with V₊ pending,
///     qᵢᵀ a = φᵢ(s) cᵢᵀ b₊,  cᵢ = H₊ qᵢ,      φᵢ = s / (s² − θᵢ²)     with U₊ pending,
///
/// so that G x = R a_start = F(s) a₊ with F(s) = Σ rᵢ φᵢ(s) cᵢᵀ and rᵢ = R qᵢ,start. The xⱼ were fixed before G was
/// drawn, so that with probability 1 − δ, σ_min(G [xᵢ … xⱼ]) ≥ η_m for all m = j − i + 1 neighbours among the first
/// ones (`GaussianBlock`, with δ divided among them). The Ritz vectors depend on G, and nothing is assumed about them.
///
/// Suppose that d + 1 values of A were s₀ or larger, where d Ritz values are. Windows around those d Ritz values are
/// merged where they overlap. Either one of the d + 1 values lies in no window, or a window of c Ritz values contains
/// m = c + 1 of them. Both are impossible if
///
/// 1. ‖F(s)‖ < η₁ for all s ≥ s₀ in no window, as ‖G x‖ ≤ ‖F(s)‖;
/// 2. in every window ‖Σ rᵢ cᵢᵀ X₊ Φᵢ‖ < η_m, over all i but the window's c, with Φᵢ = diag φᵢ(σⱼ) and X₊ the pending
///    part of the m vectors, ‖X₊‖ ≤ 1: some unit vector x = Σ ξⱼ xⱼ has no component along the c Ritz vectors, and
///    G x = Σ rᵢ cᵢᵀ X₊ Φᵢ ξ for it.
///
/// Then σ_{d+1}(A) < s₀. Both are bounded for intervals of s, not at points. Of the Ritz values above s₀, each term is
/// convex in s on both sides of θᵢ and therefore largest at the interval's ends. The others together, which cancel, are
/// bounded by the chord between the ends and Σ ‖rᵢ‖ ‖cᵢ‖ φᵢ'' (length)² / 8: φᵢ'' falls with s. Rounding of the
/// recurrence is not included, but ‖cᵢ‖ is taken as at least that of single precision.
struct OwnSpace {
  /// Everything is divided by this power of two, so that squares neither overflow nor underflow.
  private let scale: Double
  /// θ, descending.
  let values: [Double]
  /// Row i: rᵢ cᵢᵀ, row by row.
  private let products: Matrix<Double>
  /// The rows and columns of these products.
  private let shape: (rows: Int, columns: Int)
  /// ‖rᵢ‖ ‖cᵢ‖.
  let sizes: [Double]
  /// Whether V₊ is pending.
  let isForward: Bool
  /// η₁, η₂, …
  private let least: [Double]

  /// The space of a process, for statements about the first `values` singular values, which are wrong with probability
  /// δ; nil if no block of three Gaussian vectors or more is in it, or if it is too small.
  init?(
    _ process: BlockBidiagonalization, values count: Int, failureProbability δ: Double
  ) throws(LAPACKError) {
    guard let r = process.start, r.rows >= 3 else { return nil }
    let h = process.projected
    let largest = h.elements.reduce(0) { max($0, abs($1)) }
    let (isForward, applied) = (process.direction == .forward, process.newest)
    guard largest > 0, largest.isFinite, applied > 0 else { return nil }
    let scale = Double(sign: .plus, exponent: largest.exponent, significand: 1)
    let scaled = Matrix(rows: h.rows, columns: h.columns, elements: h.elements.map { $0 / scale })
    let known = isForward ? scaled.narrowed(to: applied) : scaled.prefix(applied)
    guard known.columns > r.columns else { return nil }
    let (eigenvalues, q) = try known.gram(.transposed).largestEigenpairs(known.columns)
    let values = eigenvalues.map { max($0, 0).squareRoot() }
    let start = Matrix.product(q.narrowed(to: r.columns), .none, r, .transposed)
    let coupling =
      isForward
      ? Matrix.product(
        .product(q, .none, known, .transposed), .none, scaled.dropping(rows: 0, columns: applied))
      : Matrix.product(q, .none, scaled.dropping(rows: applied, columns: 0), .transposed)
    let (starts, couplings) = (start.rowNorms, coupling.rowNorms)
    let rounding = Double(Float.ulpOfOne) * values[0]
    sizes = values.indices.map {
      starts[$0] * max(couplings[$0], rounding * (isForward ? values[$0] : 1))
    }
    (self.scale, self.isForward, self.values) = (scale, isForward, values)
    shape = (start.columns, coupling.columns)
    products = Matrix(
      rows: values.count, columns: shape.rows * shape.columns,
      elements: values.indices.flatMap { i in
        start.row(i).flatMap { entry in coupling.row(i).map { entry * $0 } }
      })
    // Most of δ goes where η depends most on it and is needed most: to single vectors and pairs.
    least = (1..<r.rows).map { m in
      let share = m == 1 ? 0.25 : m == 2 ? 0.5 : Double(sign: .plus, exponent: -m, significand: 1)
      return GaussianBlock.leastSingularValue(
        rows: r.rows, columns: m, failureProbability: δ * share / Double(count + 1))
    }
  }

  /// The largest d up to `most` for which some s₀ is proven, with the least such s₀: σ_{d+1} < s₀, and d Ritz values are
  /// s₀ or larger.
  func largestExclusion(upTo most: Int) -> (count: Int, limit: Double)? {
    for d in stride(from: min(most, values.count - 1), to: 0, by: -1) {
      if let limit = limit(beyond: d) { return (d, limit * scale) }
    }
    return nil
  }

  // MARK: One d

  /// A window of s that contains some of the largest Ritz values.
  private struct Window {
    var low: Double
    var high: Double
    var ritz: Range<Int>
  }

  /// The least s₀ proven, σ_{d+1} < s₀; nil if none is.
  private func limit(beyond d: Int) -> Double? {
    let gap = values[d - 1] - values[d]
    let widths = (0..<d).map { i in
      // Here the value's own term is η₁/4.
      max(2 * sizes[i] / (isForward ? values[i] : 1) / least[0], Double(Float.ulpOfOne) * values[0])
    }
    // Most d fail already here: beside the last of the d values, where s₀ is to be.
    // s₀ is found to 1/64 of the gap, which is to be more than the rounding of single precision.
    guard gap > 256 * Double(Float.ulpOfOne) * values[0], widths[d - 1] < 2 * gap else {
      return nil
    }
    let beside = values[d - 1] - min(gap / 2, widths[d - 1])
    guard rest(beside, from: d).frobeniusNorm < least[0] / 2, let limit = lowest(from: d),
      limit < values[d - 1], windowsHold(widths, above: limit)
    else { return nil }
    return limit
  }

  /// The least s, to 1/64 of the gap below the d-th Ritz value, above which the Ritz values from d on contribute η₁/2 at
  /// most to F.
  private func lowest(from d: Int) -> Double? {
    let goal = least[0] / 2
    let (next, gap) = (values[d], values[d - 1] - values[d])
    let far = FarField(self, from: d)
    var s = 1.5 * values[0]
    while far.bound(s) > goal { s *= 2 }
    // Each step leaves three quarters of the way to the next value; there are more than these only if that is 0.
    for _ in 0..<64 {
      let below = next + 0.75 * (s - next)
      guard below - next > gap / 64, far.bound(below) <= goal else { break }
      s = below
    }
    var size = rest(s, from: d).frobeniusNorm
    var step = s
    var isLower = false
    repeat {
      isLower = false
      step = min(2 * step, 0.75 * (s - next))
      while !isLower, step > gap / 64 {
        let bend = bend(s - step, from: d, length: step)
        if bend <= (goal - size) / 2 {
          let below = rest(s - step, from: d).frobeniusNorm
          if max(size, below) + bend <= goal {
            (s, size, isLower) = (s - step, below, true)
            break
          }
        }
        step /= 2
      }
    } while isLower
    return s
  }

  /// Whether conditions 1 and 2 hold above s₀, for windows of these half-widths or wider.
  private func windowsHold(_ widths: [Double], above s0: Double) -> Bool {
    var widths = widths
    // Widening the window of the term that is too large makes it smaller, or part of a common window.
    for _ in 0..<(8 * widths.count + 32) {
      switch test(windows(widths), of: widths.count, above: s0) {
      case .holds: return true
      case .fails: return false
      case .tooLarge(let i): widths[i] *= 2
      }
    }
    return false
  }

  private func windows(_ widths: [Double]) -> [Window] {
    var result: [Window] = []
    for (i, width) in widths.enumerated() {
      var new = Window(low: values[i] - width, high: values[i] + width, ritz: i..<i + 1)
      while let above = result.last, above.low <= new.high {
        result.removeLast()
        new = Window(
          low: min(above.low, new.low), high: max(above.high, new.high),
          ritz: above.ritz.lowerBound..<i + 1)
      }
      result.append(new)
    }
    return result
  }

  private enum Verdict {
    case holds, fails
    /// The term of this Ritz value is the largest of a sum that is too large.
    case tooLarge(Int)
  }

  private func test(_ windows: [Window], of d: Int, above s0: Double) -> Verdict {
    for window in windows.reversed() {
      let m = window.ritz.count + 1
      guard m <= least.count else { return .fails }
      for s in [window.low, window.high] where s > s0 {
        let (sum, largest) = terms(s, of: d, without: 0..<0)
        if sum >= least[0] / 2 { return .tooLarge(largest) }
      }
      let low = max(window.low, s0)
      let (first, last) = (rest(low, from: d), rest(window.high, from: d))
      let others =
        first.frobeniusNorm + (last - first).frobeniusNorm
        + bend(low, from: d, length: window.high - low)
      guard others < least[m - 1] else { return .fails }
      for s in [low, window.high] {
        let (sum, largest) = terms(s, of: d, without: window.ritz)
        if sum + others >= least[m - 1] { return .tooLarge(largest) }
      }
    }
    return .holds
  }

  // MARK: Terms

  /// φᵢ(s).
  private func factor(_ s: Double, _ i: Int) -> Double {
    (isForward ? 1 : s) / ((s - values[i]) * (s + values[i]))
  }

  /// Σ ‖rᵢ‖ ‖cᵢ‖ |φᵢ(s)| over the first d Ritz values but `excluded`, and the index of the largest term.
  private func terms(
    _ s: Double, of d: Int, without excluded: Range<Int>
  ) -> (sum: Double, largest: Int) {
    var (sum, largest, most) = (0.0, 0, 0.0)
    for i in 0..<d where !excluded.contains(i) {
      let term = sizes[i] * abs(factor(s, i))
      sum += term
      if term > most { (largest, most) = (i, term) }
    }
    return (sum, largest)
  }

  /// Σ rᵢ φᵢ(s) cᵢᵀ over the Ritz values from d on.
  func rest(_ s: Double, from d: Int) -> Matrix<Double> {
    sum(from: d) { factor(s, $0) }
  }

  /// Σ rᵢ f(i) cᵢᵀ over the Ritz values from d on.
  private func sum(from d: Int, _ factor: (Int) -> Double) -> Matrix<Double> {
    var sum = Matrix<Double>(rows: shape.rows, columns: shape.columns)
    sum.elements.withUnsafeMutableBufferPointer { sum in
      products.elements.withUnsafeBufferPointer { products in
        // Too small for BLAS to gain anything.
        for i in d..<values.count {
          let factor = factor(i)
          for k in sum.indices { sum[k] += factor * products[i * sum.count + k] }
        }
      }
    }
    return sum
  }

  /// A bound on that sum's norm which falls as s grows, so that it holds for every larger s too.
  ///
  /// With m half the square of the largest Ritz value θ_d of the sum, and t = s² − m, φᵢ is 1 or s times
  ///
  ///     1 / (s² − θᵢ²) = Σ_{k<K} (θᵢ² − m)ᵏ / tᵏ⁺¹ + (θᵢ² − m)ᴷ / (tᴷ (s² − θᵢ²)).
  ///
  /// The first K terms are summed over i before a norm is taken: they cancel as the sum itself does. The last, which are not, are
  /// small soon beyond θ_d, since |θᵢ² − m| ≤ m.
  struct FarField {
    /// K. With 16, s comes within a fifth of θ_d although the terms' norms are a thousand times what they add up to.
    private static let order = 16
    private let isForward: Bool
    private let middle: Double
    /// ‖Σ rᵢ ((θᵢ² − m) / m)ᵏ cᵢᵀ‖ for each k.
    private let norms: [Double]
    /// θᵢ² and ‖rᵢ‖ ‖cᵢ‖ |(θᵢ² − m) / m|ᴷ.
    private let last: [(square: Double, size: Double)]

    init(_ space: OwnSpace, from d: Int) {
      let values = space.values[d...]
      let middle = max(values.first! * values.first! / 2, .leastNormalMagnitude)
      let ratios = values.map { ($0 * $0 - middle) / middle }
      var powers = [Double](repeating: 1, count: ratios.count)
      norms = (0..<Self.order).map { _ in
        defer { for i in powers.indices { powers[i] *= ratios[i] } }
        return space.sum(from: d) { powers[$0 - d] }.frobeniusNorm
      }
      last = values.indices.map {
        (values[$0] * values[$0], space.sizes[$0] * abs(powers[$0 - d]))
      }
      (isForward, self.middle) = (space.isForward, middle)
    }

    /// The bound at s > θ_d.
    func bound(_ s: Double) -> Double {
      let t = s * s - middle
      var (power, sum) = (1 / t, 0.0)
      for norm in norms {
        sum += norm * power
        power *= middle / t
      }
      let rest = last.reduce(0) { $0 + $1.size / (s * s - $1.square) }
      return (isForward ? 1 : s) * (sum + power * t * rest)
    }
  }

  /// The most by which that sum differs from its chord between s and s + `length`.
  private func bend(_ s: Double, from d: Int, length: Double) -> Double {
    var sum = 0.0
    for i in d..<values.count {
      let square = values[i] * values[i]
      let below = (s - values[i]) * (s + values[i])
      let curve =
        isForward ? 6 * s * s + 2 * square : 2 * s * (s * s + 3 * square)
      sum += sizes[i] * curve / (below * below * below)
    }
    return sum * length * length / 8
  }
}
