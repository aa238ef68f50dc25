public import LinearAlgebra

/// The quantities of a Jacobian from which bounds of couplings are computed: the errors of its found triplets, and the
/// size of the Jacobian beyond them, at `deviations` standard deviations for unknown directions.
public struct JacobianSpread: Sendable {
  /// The number of standard deviations that a bound allows for.
  public static let deviations = 2.0
  /// The number of standard deviations for noise, which is measured with only a few vectors of one prompt.
  static let noiseDeviations = 4.0
  /// The typical largest magnitude among a few dozen roughly normal numbers, in standard deviations.
  static let largest = 3.0

  /// σ̂ of all found triplets.
  let values: [Double]
  /// |σ̂ₐ − σₐ| of the requested triplets.
  let valueErrors: [Double]
  /// θₐ of the requested triplets.
  let outside: [Double]
  /// β_ab between the requested and all found triplets.
  let mixing: Matrix<Double>
  /// S, a bound on the norm of the part not found.
  let rest: Double
  /// The noise of an entry uᵀ E v, absolute.
  let noise: Double
  /// The number of dimensions outside the found space.
  let dimensions: Double
  /// The clusters of values that cannot be told apart.
  public let clusters: SingularClusters

  /// Creates a spread from found triplets and their operator's noise, for vectors of length `dimension`.
  ///
  /// Unless a certificate shows that they are larger, the gaps after the cut are those to the last found value:
  /// bounds of couplings assume that nothing was missed.
  public init(_ t: SingularTriplets, noise: OperatorNoise?, dimension: Int) {
    let further = t.further?.singularValues ?? []
    values = t.singularValues + further
    let first = values.first ?? 0
    let last = values.last ?? 0
    clusters = SingularClusters(t, noise: noise ?? .none)
    // Norms of products' errors vary little, so that their largest is close to each of them; entries are roughly
    // normal.
    let deviations = Self.noiseDeviations
    let spread = OperatorNoise(
      products: (noise?.products ?? 0) * deviations / OperatorNoise.safetyFactor,
      entries: (noise?.entries ?? 0) * deviations / OperatorNoise.entryFactor / Self.largest)
    self.noise = spread.entries * first
    // A measured residual norm contains the rounding of its products: the two add up in squares, but `TripletBounds`
    // adds them without squaring.
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
