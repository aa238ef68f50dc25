public import LinearAlgebra

/// What is known of a Jacobian's found triplets for the bounds of its couplings: how far they lean, and how large the Jacobian is
/// beyond them, at `deviations` standard deviations of directions that are not known.
public struct JacobianSpread: Sendable {
  /// Standard deviations that a bound allows.
  public static let deviations = 2.0
  /// The same of noise, which was seen on a few vectors of one prompt only.
  static let noiseDeviations = 4.0
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
    let deviations = Self.noiseDeviations
    let spread = OperatorNoise(
      products: (noise?.products ?? 0) * deviations / OperatorNoise.safetyFactor,
      entries: (noise?.entries ?? 0) * deviations / OperatorNoise.entryFactor / Self.largest)
    self.noise = spread.entries * first
    // A measured residual norm has the rounding of its products in it: the two add up in squares, and `TripletBounds` adds them up
    // as they are.
    let products = spread.products * first
    let beyondNoise = { (norm: Double) in
      let size = norm * Self.deviations
      return (size * size + products * products).squareRoot() - products
    }
    let bounds = TripletBounds(
      singularValues: t.singularValues, residualNorms: t.residualNorms.map(beyondNoise),
      further: further,
      furtherResidualNorms: (t.further?.residualNorms ?? []).map(beyondNoise),
      outside: min(t.certificate?.outside ?? last, last), noise: spread, dimension: dimension)
    (outside, mixing, valueErrors) = (bounds.outside, bounds.mixing, bounds.values)
    rest = t.certificate?.outside ?? last
    dimensions = Double(max(1, dimension - values.count))
  }
}
