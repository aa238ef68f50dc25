public import LinearAlgebra

/// What is known of a Jacobian's found triplets for the bounds of its couplings: how far they lean, and how large the Jacobian is
/// beyond them, at `deviations` standard deviations of directions that are not known.
public struct JacobianSpread: Sendable {
  /// Standard deviations that a bound allows.
  public static let deviations = 2.0
  /// The largest of some dozens of about normal numbers is so many of their standard deviations.
  static let largest = 3.0

  /// σ̂ of all found triplets.
  let values: [Double]
  /// |σ̂ₐ − σₐ| of those asked for.
  let valueErrors: [Double]
  /// θₐ of those asked for.
  let outside: [Double]
  /// β_ab between those asked for and all found ones.
  let mixing: Matrix<Double>
  /// S, the norm of what was not found.
  let rest: Double
  /// Of an entry uᵀ E v, not relative.
  let noise: Double
  /// Dimensions in which a vector can lean out of the found space.
  let dimensions: Double
  /// Which values are not told apart.
  public let clusters: SingularClusters

  /// Of found triplets and their operator's noise; vectors are of length `dimension`.
  ///
  /// The gaps behind the cut are those to the last found value, if no certificate says that they are larger: bounds of couplings
  /// suppose that nothing was missed.
  public init(_ t: SingularTriplets, noise: OperatorNoise?, dimension: Int) {
    let further = t.further?.singularValues ?? []
    values = t.singularValues + further
    let first = values.first ?? 0
    let last = values.last ?? 0
    clusters = SingularClusters(t, noise: noise ?? .none)
    // Norms of products' errors vary little, so that their largest is nearly each of them; entries are about normal.
    let share = Self.deviations / OperatorNoise.safetyFactor
    let spread = OperatorNoise(
      products: (noise?.products ?? 0) * share,
      entries: (noise?.entries ?? 0) * share / Self.largest)
    self.noise = spread.entries * first
    let bounds = { (noise: OperatorNoise) in
      TripletBounds(
        singularValues: t.singularValues,
        residualNorms: t.residualNorms.map { $0 * Self.deviations }, further: further,
        furtherResidualNorms: (t.further?.residualNorms ?? []).map { $0 * Self.deviations },
        outside: min(t.certificate?.outside ?? last, last), noise: noise, dimension: dimension)
    }
    let vectors = bounds(spread)
    (outside, mixing) = (vectors.outside, vectors.mixing)
    // To first order a value changes by uₐᵀ E vₐ, one entry, and not by as much as the norm of all of them.
    let entry = self.noise
    valueErrors = bounds(OperatorNoise(products: spread.products, entries: 0)).values
      .map { $0 + entry }
    rest = t.certificate?.outside ?? last
    dimensions = Double(max(1, dimension - values.count))
  }
}
