/// How much the operator that a solve applied differs from the one that is meant, E = Ã − A: rounding of its products, and of
/// the point and the saved values of a linearization. Relative to σ₁.
public struct OperatorNoise: Sendable, Equatable, Codable {
  /// max(‖E v‖, ‖Eᵀ u‖) of unit vectors that lie among the leading singular vectors.
  public var products: Double
  /// |uᵀ E v| for such vectors: the part that stays among them.
  public var entries: Double

  /// Both relative to σ₁.
  public init(products: Double, entries: Double) {
    self.products = products
    self.entries = entries
  }

  /// Of an operator that is what is meant.
  public static let none = OperatorNoise(products: 0, entries: 0)
}

/// How far found triplets are from the operator's own, at most: from residual norms, gaps, what a certificate says of the rest,
/// and the operator's noise.
///
/// For K′ found triplets with Uᵀ A V = Σ̂, εₐ = residual norm + noise · σ̂₁ and S the norm of the rest:
///
///     δₐ = σ̂ₐ − S,    θₐ = √2 εₐ / δₐ                                       (towards the rest)
///     β_ab = (2 εₐ ε_b / min(δₐ, δ_b) + noise in entries) / |σ̂ₐ − σ̂_b|       (among the found ones, of second order)
///
/// Values: Weyl, and the quadratic bound 2ρ²/(η + √(η² + 4ρ²)) for blocks η apart that residuals ρ couple (Li & Li, "A note
/// on eigenvalues of perturbed Hermitian matrices", Linear Algebra Appl. 395, 2005). Subspaces: Wedin, BIT 12, 1972.
public struct TripletBounds: Sendable {
  /// |σ̂ᵢ − σᵢ| of the triplets that were asked for; of those that may have been missed, infinite never: S bounds them.
  public let values: [Double]
  /// θₐ for each of them: how far vₐ and uₐ lean out of the space of all found ones, at most 1.
  public let outside: [Double]
  /// β_ab between an asked triplet a (row) and every found one b, at most 1; 0 for a = b.
  public let mixing: Matrix<Double>

  /// sin of the angle between found and true vectors, of u or v: 1 where nothing is known.
  public var vectors: [Double] {
    outside.indices.map { a in
      let square = mixing.row(a).reduce(outside[a] * outside[a]) { $0 + $1 * $1 }
      return min(1, square.squareRoot())
    }
  }

  /// ‖sin Θ‖_F between the found and the true space of the k leading left or right vectors.
  public func subspace(_ k: Int) -> Double {
    var square = 0.0
    for a in 0..<k {
      square += outside[a] * outside[a]
      for b in k..<mixing.columns { square += mixing[a, b] * mixing[a, b] }
    }
    return min(Double(k).squareRoot(), square.squareRoot())
  }

  /// Of the asked triplets' σ̂ and measured residual norms, largest first, and the same of further ones.
  ///
  /// `outside` is a certificate's S; nil where nothing is known of the rest, which is then taken to begin at the last found
  /// value. Precondition: at least one value.
  public init(
    singularValues asked: [Double], residualNorms: [Double], further: [Double] = [],
    furtherResidualNorms: [Double] = [], outside s: Double?, noise: OperatorNoise = .none
  ) {
    let sigma = asked + further
    let first = sigma[0]
    let k = asked.count
    let found = sigma.count
    // What is claimed beyond rounding of double precision is not believed.
    let floor = 16 * Double.ulpOfOne * first
    let epsilon = (residualNorms + furtherResidualNorms).map {
      $0 + noise.products * first + floor
    }
    let entries = noise.entries * first + floor
    let rest = s ?? sigma[found - 1]
    let rho = { (range: Range<Int>) in
      epsilon[range].reduce(0) { $0 + $1 * $1 }.squareRoot()
    }
    let inside = Double(found) * entries
    let delta = sigma.map { $0 - rest }
    self.outside = (0..<k).map { a in
      delta[a] > 0 ? min(1, 2.0.squareRoot() * epsilon[a] / delta[a]) : 1
    }
    var mixing = Matrix<Double>(rows: k, columns: found)
    for a in 0..<k {
      for b in 0..<found where b != a {
        let least = min(delta[a], delta[b])
        let size = least > 0 ? 2 * epsilon[a] * epsilon[b] / least + entries : .infinity
        let gap = abs(sigma[a] - sigma[b])
        mixing[a, b] = size < gap ? size / gap : 1
      }
    }
    self.mixing = mixing
    // The rest beyond the asked ones, further triplets included.
    let beyond = max(found > k ? sigma[k] : 0, rest) + rho(k..<found)
    let (asks, all) = (rho(0..<k), rho(0..<found))
    values = (0..<k).map { i in
      let linear = max(sigma[i], rest) - sigma[i] + all
      let gap = sigma[i] - beyond
      guard gap > 0 else { return linear + inside }
      let quadratic = 2 * asks * asks / (gap + (gap * gap + 4 * asks * asks).squareRoot())
      return min(linear, quadratic) + inside
    }
  }
}

extension SingularTriplets {
  /// How far they are from the operator's own.
  public func bounds(noise: OperatorNoise = .none) -> TripletBounds {
    TripletBounds(
      singularValues: singularValues, residualNorms: residualNorms,
      further: further?.singularValues ?? [], furtherResidualNorms: further?.residualNorms ?? [],
      outside: certificate?.outside, noise: noise)
  }
}
