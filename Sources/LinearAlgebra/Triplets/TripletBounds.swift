/// How far found triplets are from the operator's own, at most: from residual norms, gaps, what a certificate says of the rest,
/// and the operator's noise.
///
/// Premises, for K′ found triplets of A, U and V orthonormal:
/// - ‖A vₐ − σ̂ₐ uₐ‖ and ‖Aᵀ uₐ − σ̂ₐ vₐ‖ are εₐ at most: the measured residual norm and the noise of products;
/// - UᵀAV = Σ̂ + D, as a Rayleigh–Ritz step leaves it: |D_ab| is the noise in entries at most;
/// - what is not found, B = (I − UUᵀ) A (I − VVᵀ), has ‖B‖ ≤ S: a certificate's, with its failure probability, and the noise
///   of products. Without one, S is taken to be the last found value: then the bounds hold if nothing was missed.
///
/// Rounding in double precision is λ √(n K′) u σ₁ in each of them (`roundingFloor`). In the bases U, V and their complements
///
///     A = [[Σ̂ + D, X], [Y, B]],    ‖row a of X‖, ‖column a of Y‖ ≤ εₐ,    ρ_{k…l} = (ε_k² + … + ε_l²)^½ ≥ ‖X_{k…l}‖.
///
/// **Values.** From below UᵀAV is a part of A, so that σᵢ ≥ σ̂ᵢ − ‖D_{1…i}‖. From above, split at any l ≥ i: the values of Σ̂_{1…l}
/// and those of the rest, of norm N_l, are coupled by ρ_{1…l}. Where η = σ̂ᵢ − N_l > 0,
///
///     σᵢ − σ̂ᵢ ≤ 2ρ² / (η + √(η² + 4ρ²)) + ‖D‖
///
/// (C.-K. Li and R.-C. Li, "A note on eigenvalues of perturbed Hermitian matrices", Linear Algebra Appl. 395, 2005, for
/// [[0, A], [Aᵀ, 0]]), else σᵢ ≤ N_l + ρ + ‖D‖ (H. Weyl, Math. Ann. 71, 1912). N_K′ = S, and N_k is in the same way the bound on
/// the largest value of what is left without the first k; the best l is taken. Each value is counted with its multiplicity.
///
/// In the place of ‖D‖ stands D_max (1 + Σ_b β_ib)² where that is less: along A − (1 − t) U D Vᵀ, 0 ≤ t ≤ 1, the derivative of
/// σᵢ is qᵀ D p for the parts q, p of its vectors among the found ones, whose entries β bounds at every t.
///
/// **Vectors.** A triplet (σₐ, x, y) of A with x = U q + U⊥ q′, y = V p + V⊥ p′ obeys Y p + B p′ = σₐ q′, Xᵀ q + Bᵀ q′ = σₐ p′:
///
///     ‖p′‖, ‖q′‖ ≤ θₐ = (εₐ + Σ_b ε_b β_ab) / (σₐ − S),    |p_b|, |q_b| ≤ β_ab = (ε_b θₐ + |D q|_b) / |σ̂_b − σₐ|
///
/// (the argument of P.-Å. Wedin, "Perturbation bounds in connection with singular value decomposition", BIT 12, 1972), each
/// from the other, beginning with ‖Xᵀ q‖ ≤ ρ; every round is a bound. Mixing among the found ones is of second order in ε.
/// Where σₐ is repeated, this holds for each of its vectors.
public struct TripletBounds: Sendable {
  /// |σ̂ᵢ − σᵢ| of the triplets that were asked for. Where some may have been missed, S bounds what they can add.
  public let values: [Double]
  /// θₐ for each of them: how far its true left and right vector lean out of the space of all found ones, at most 1.
  public let outside: [Double]
  /// β_ab: how much of a true vector a that was asked for (row) lies along every found one b, at most 1; 0 for a = b.
  public let mixing: Matrix<Double>
  /// Wedin's bound for the first k, k = 1, 2, …
  private let spaces: [Double]

  /// sin of the angle between found and true vectors, of u or v: 1 where nothing is known.
  public var vectors: [Double] {
    outside.indices.map { a in
      let square = mixing.row(a).reduce(outside[a] * outside[a]) { $0 + $1 * $1 }
      return min(1, square.squareRoot())
    }
  }

  /// ‖sin Θ‖_F between the found and the true space of the k leading left or right vectors.
  ///
  /// The smaller one of two sums: of what single vectors have outside, and of Wedin's bound ρ_{1…k} / (σ_k − N_k).
  public func subspace(_ k: Int) -> Double {
    guard k > 0 else { return 0 }
    var square = 0.0
    for a in 0..<k {
      square += outside[a] * outside[a]
      for b in k..<mixing.columns { square += mixing[a, b] * mixing[a, b] }
    }
    return min(Double(k).squareRoot(), square.squareRoot(), spaces[k - 1])
  }

  /// Over σ₁: what double precision adds to residual norms, to orthogonality and to a Rayleigh–Ritz step, for k vectors of
  /// length n.
  ///
  /// λ √(n k) u with unit roundoff u. A Householder decomposition of k vectors is backward stable within a small multiple of
  /// n k u (N. Higham, *Accuracy and Stability of Numerical Algorithms*, SIAM 2002, theorem 19.4); sums of roundings that do
  /// not conspire grow by the square root, λ = 6 for a chance of 3 · 10⁻⁸ (N. Higham, T. Mary, "A new approach to probabilistic
  /// rounding error analysis", SIAM J. Sci. Comput. 41, 2019).
  static func roundingFloor(_ n: Int, vectors k: Int) -> Double {
    6 * (Double(max(n, 1)) * Double(max(k, 1))).squareRoot() * Double.ulpOfOne / 2
  }

  /// Of the asked triplets' σ̂ and measured residual norms, largest first, and the same of further ones.
  ///
  /// `outside` is a certificate's S; nil where nothing is known of the rest, which is then taken to begin at the last found
  /// value. `dimension` is the length of the longer vectors. Precondition: at least one value.
  public init(
    singularValues asked: [Double], residualNorms: [Double], further: [Double] = [],
    furtherResidualNorms: [Double] = [], outside s: Double?, noise: OperatorNoise = .none,
    dimension: Int = 4096
  ) {
    let problem = FoundBlock(
      asked + further, residualNorms + furtherResidualNorms, outside: s, noise: noise,
      rounding: Self.roundingFloor(dimension, vectors: asked.count + further.count))
    let k = asked.count
    let found = problem.values.count
    var values = [Double](repeating: 0, count: k)
    var outside = [Double](repeating: 1, count: k)
    var mixing = Matrix<Double>(rows: k, columns: found)
    for a in 0..<k {
      let (theta, beta) = problem.leanings(of: a, problem.errors(a))
      let errors = problem.errors(a, beta)
      values[a] = max(errors.below, errors.above) * problem.scale
      outside[a] = theta
      for b in 0..<found { mixing[a, b] = beta[b] }
    }
    (self.values, self.outside, self.mixing) = (values, outside, mixing)
    spaces = (1...max(k, 1)).map { problem.space($0) }
  }
}

/// The found triplets, all lengths over σ̂₁.
private struct FoundBlock {
  let scale: Double
  let values: [Double]
  /// εₐ.
  let epsilon: [Double]
  let noise: OperatorNoise
  let rounding: Double
  /// N_k, k = 0 … K′: bounds on the norm of what is left of A without the first k found triplets, D aside.
  let norms: [Double]

  init(
    _ sigma: [Double], _ residualNorms: [Double], outside: Double?, noise: OperatorNoise,
    rounding: Double
  ) {
    let first = sigma.first ?? 0
    scale = first
    let unit = first > 0 ? first : 1
    let values = sigma.map { $0 / unit }
    let epsilon = residualNorms.map { $0 / unit + noise.products + rounding }
    var norms = [Double](repeating: 0, count: sigma.count + 1)
    norms[sigma.count] =
      outside.map { $0 / unit + noise.products + rounding } ?? values.last ?? 0
    var top = 0.0
    for k in values.indices.reversed() {
      top = max(top, values[k])
      norms[k] = Self.largest(top, epsilon, k..<sigma.count, norms)
    }
    (self.values, self.epsilon, self.norms) = (values, epsilon, norms)
    (self.noise, self.rounding) = (noise, rounding)
  }

  /// What coupling to the rest can raise a value to, that of the triplets in `range` split after any l ≥ `least`.
  private static func largest(
    _ value: Double, _ epsilon: [Double], _ range: Range<Int>, _ norms: [Double],
    from least: Int? = nil
  ) -> Double {
    var best = Double.infinity
    var rho = 0.0
    for l in range {
      rho = hypotenuse(rho, epsilon[l])
      guard l >= least ?? range.lowerBound else { continue }
      let (rest, eta) = (norms[l + 1], value - norms[l + 1])
      best = min(
        best, eta > 0 ? value + rho * (2 * rho / (eta + hypotenuse(eta, 2 * rho))) : rest + rho)
    }
    return best
  }

  /// ‖D‖ of the first k: as a matrix of entries, or of rows.
  private func inside(_ k: Int) -> Double {
    let root = Double(k).squareRoot()
    return min(Double(k) * noise.entries, root * noise.products) + root * rounding
  }

  /// σ̂ᵢ − σᵢ and σᵢ − σ̂ᵢ, at most; less where it is known how vector i mixes with others.
  func errors(_ i: Int, _ beta: [Double]? = nil) -> (below: Double, above: Double) {
    let above = Self.largest(values[i], epsilon, values.indices, norms, from: i) - values[i]
    guard let beta else { return (inside(i + 1), above + inside(values.count)) }
    let sum = 1 + beta.reduce(0, +)
    let own = sum * sum * noise.entries + Double(values.count).squareRoot() * rounding
    return (min(inside(i + 1), own), above + min(inside(values.count), own))
  }

  /// θₐ and β_ab of one triplet whose value is known to `errors`.
  func leanings(
    of a: Int, _ errors: (below: Double, above: Double)
  ) -> (theta: Double, beta: [Double]) {
    let found = values.count
    var beta = [Double](repeating: 1, count: found)
    beta[a] = 0
    let delta = values[a] - errors.below - norms[found]
    let gaps = values.indices.map { b in
      b < a ? values[b] - values[a] - errors.above : values[a] - values[b] - errors.below
    }
    let rho = epsilon.reduce(0, hypotenuse)
    var theta = 1.0
    // Three rounds: the second takes β from the first, and the third changes hardly anything.
    for _ in 0..<3 {
      let coupled = zip(epsilon, beta).reduce(epsilon[a]) { $0 + $1.0 * $1.1 }
      if delta > 0 { theta = min(theta, min(rho, coupled) / delta) }
      let sum = min(1 + beta.reduce(0, +), Double(found).squareRoot())
      let d = min(noise.entries * sum, noise.products) + rounding
      for b in 0..<found where b != a {
        let size = epsilon[b] * theta + d
        if size < gaps[b] { beta[b] = min(beta[b], size / gaps[b]) }
      }
    }
    return (theta, beta)
  }

  /// ρ_{1…k} / (σ_k − N_k).
  func space(_ k: Int) -> Double {
    guard k <= values.count else { return .infinity }
    let rho = epsilon.prefix(k).reduce(0, hypotenuse)
    let gap = values[k - 1] - inside(k) - (norms[k] + inside(values.count))
    return gap > 0 ? rho / gap : .infinity
  }
}

/// √(x² + y²).
private func hypotenuse(_ x: Double, _ y: Double) -> Double { (x * x + y * y).squareRoot() }

extension SingularTriplets {
  /// How far they are from the operator's own.
  public func bounds(noise: OperatorNoise = .none) -> TripletBounds {
    TripletBounds(
      singularValues: singularValues, residualNorms: residualNorms,
      further: further?.singularValues ?? [], furtherResidualNorms: further?.residualNorms ?? [],
      outside: certificate?.outside, noise: noise,
      dimension: max(leftVectors.columns, rightVectors.columns))
  }
}
