/// Bounds on the distance of found triplets from the operator's own: from residual norms, gaps, what a certificate
/// says about the rest, and the operator's noise.
///
/// The premises, for K′ found triplets of A, with U and V orthonormal, are:
/// - ‖A vₐ − σ̂ₐ uₐ‖ and ‖Aᵀ uₐ − σ̂ₐ vₐ‖ are at most εₐ, the measured residual norm plus the noise of products.
/// - UᵀAV = Σ̂ + D, as a Rayleigh–Ritz step leaves it, and |D_ab| is at most the noise in entries.
/// - The part not found, B = (I − UUᵀ) A (I − VVᵀ), has ‖B‖ ≤ S: a certificate's S, with its failure probability,
///   plus the noise of products. Without a certificate, S is taken to be the last found value, and the bounds are
///   valid if nothing was missed.
///
/// Rounding in double precision adds λ √(n K′) u σ₁ to each of them (`roundingFloor`). In the bases U, V and their
/// complements
///
///     A = [[Σ̂ + D, X], [Y, B]],    ‖row a of X‖, ‖column a of Y‖ ≤ εₐ,    ρ_{k…l} = (ε_k² + … + ε_l²)^½ ≥ ‖X_{k…l}‖.
///
/// **Values.** From below, UᵀAV is a part of A, so that σᵢ ≥ σ̂ᵢ − ‖D_{1…i}‖. From above, split at any l ≥ i: the
/// values of Σ̂_{1…l} and those of the rest, which has norm N_l, are coupled by ρ_{1…l}. If η = σ̂ᵢ − N_l > 0,
///
///     σᵢ − σ̂ᵢ ≤ 2ρ² / (η + √(η² + 4ρ²)) + ‖D‖
///
/// (C.-K. Li and R.-C. Li, "A note on eigenvalues of perturbed Hermitian matrices", Linear Algebra Appl. 395, 2005,
/// for [[0, A], [Aᵀ, 0]]), else σᵢ ≤ N_l + ρ + ‖D‖ (H. Weyl, Math. Ann. 71, 1912). N_K′ = S, and N_k is obtained in
/// the same way as a bound on the largest value that remains without the first k; the best l is taken. Each value
/// counts with its multiplicity.
///
/// ‖D‖ is replaced by D_max (1 + Σ_b β_ib)² where that is smaller: along A − (1 − t) U D Vᵀ, 0 ≤ t ≤ 1, the
/// derivative of σᵢ is qᵀ D p for the parts q, p of its vectors among the found ones, whose entries are bounded by β
/// at every t.
/// **Vectors.** A triplet (σₐ, x, y) of A with x = U q + U⊥ q′, y = V p + V⊥ p′ satisfies Y p + B p′ = σₐ q′, Xᵀ q +
/// Bᵀ q′ = σₐ p′:
/// **Vectors.** A triplet (σₐ, x, y) of A with x = U q + U⊥ q′, y = V p + V⊥ p′ obeys Y p + B p′ = σₐ q′, Xᵀ q + Bᵀ q′ = σₐ p′:
///
///     ‖p′‖, ‖q′‖ ≤ θₐ = (εₐ + Σ_b ε_b β_ab) / (σₐ − S),    |p_b|, |q_b| ≤ β_ab = (ε_b θₐ + |D q|_b) / |σ̂_b − σₐ|
///
/// (the argument of P.-Å. Wedin, "Perturbation bounds in connection with singular value decomposition", BIT 12,
/// 1972), each computed from the other, starting with ‖Xᵀ q‖ ≤ ρ; every round gives a bound. Mixing among the found
/// triplets is of second order in ε. If σₐ is repeated, this is true of each of its vectors.
public struct TripletBounds: Sendable {
  /// Bounds on |σ̂ᵢ − σᵢ| of the requested triplets. If some may have been missed, S bounds what they can add.
  public let values: [Double]
  /// θₐ for each of them: a bound, at most 1, on the part of the true left and right vectors outside the span of all
  /// found ones.
  public let outside: [Double]
  /// β_ab: a bound, at most 1, on the component of the true vector a, requested (row), along the found vector b; 0
  /// for a = b.
  public let mixing: Matrix<Double>
  /// Wedin's bound for the first k triplets, k = 1, 2, …
  private let spaces: [Double]

  /// Bounds on the sine of the angle between found and true vectors, for u and v alike; 1 if nothing is known.
  public var vectors: [Double] {
    outside.indices.map { a in
      let square = mixing.row(a).reduce(outside[a] * outside[a]) { $0 + $1 * $1 }
      return min(1, square.squareRoot())
    }
  }

  /// A bound on ‖sin Θ‖_F between the found and the true space of the k leading left or right vectors.
  ///
  /// It is the smaller of two: the sum over single vectors of what lies outside, and Wedin's ρ_{1…k} / (σ_k − N_k).
  public func subspace(_ k: Int) -> Double {
    guard k > 0 else { return 0 }
    var square = 0.0
    for a in 0..<k {
      square += outside[a] * outside[a]
      for b in k..<mixing.columns { square += mixing[a, b] * mixing[a, b] }
    }
    return min(Double(k).squareRoot(), square.squareRoot(), spaces[k - 1])
  }

  /// The amount, relative to σ₁, that double precision adds to residual norms, to orthogonality and to a
  /// Rayleigh–Ritz step, for k vectors of length n.
  ///
  /// It is λ √(n k) u with unit roundoff u. A Householder factorisation of k vectors is backward stable within a
  /// small multiple of n k u (N. Higham, *Accuracy and Stability of Numerical Algorithms*, SIAM 2002, theorem 19.4);
  /// sums of independent rounding errors grow by the square root, with λ = 6 for a probability of 3 · 10⁻⁸ (N.
  /// Higham, T. Mary, "A new approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41, 2019).
  static func roundingFloor(_ n: Int, vectors k: Int) -> Double {
    6 * (Double(max(n, 1)) * Double(max(k, 1))).squareRoot() * Double.ulpOfOne / 2
  }

  /// Bounds from σ̂ and the measured residual norms of the requested triplets, largest first, and of further ones.
  ///
  /// `outside` is a certificate's S; nil if nothing is known about the rest, which is then assumed to start at the
  /// last found value. `dimension` is the length of the longer vectors. Precondition: at least one value.
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

/// The found triplets, with all lengths relative to σ̂₁.
private struct FoundBlock {
  let scale: Double
  let values: [Double]
  /// εₐ of every found triplet.
  let epsilon: [Double]
  let noise: OperatorNoise
  let rounding: Double
  /// N_k for k = 0 … K′: bounds on the norm of A without the first k found triplets, D aside.
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

  /// The largest value that coupling to the rest can produce among the triplets in `range`, split after any l ≥
  /// `least`.
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

  /// A bound on ‖D‖ of the first k: from its entries or from its rows, whichever is smaller.
  private func inside(_ k: Int) -> Double {
    let root = Double(k).squareRoot()
    return min(Double(k) * noise.entries, root * noise.products) + root * rounding
  }

  /// Bounds on σ̂ᵢ − σᵢ and σᵢ − σ̂ᵢ; tighter if `beta` tells how vector i mixes with others.
  func errors(_ i: Int, _ beta: [Double]? = nil) -> (below: Double, above: Double) {
    let above = Self.largest(values[i], epsilon, values.indices, norms, from: i) - values[i]
    guard let beta else { return (inside(i + 1), above + inside(values.count)) }
    let sum = 1 + beta.reduce(0, +)
    let own = sum * sum * noise.entries + Double(values.count).squareRoot() * rounding
    return (min(inside(i + 1), own), above + min(inside(values.count), own))
  }

  /// θₐ and β_ab of one triplet whose value is known to within `errors`.
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
    // Three rounds: the second uses β of the first, and the third changes hardly anything.
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

  /// Wedin's bound ρ_{1…k} / (σ_k − N_k).
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
  /// Bounds on the distance of these triplets from the operator's own.
  public func bounds(noise: OperatorNoise = .none) -> TripletBounds {
    TripletBounds(
      singularValues: singularValues, residualNorms: residualNorms,
      further: further?.singularValues ?? [], furtherResidualNorms: further?.residualNorms ?? [],
      outside: certificate?.outside, noise: noise,
      dimension: max(leftVectors.columns, rightVectors.columns))
  }
}
