/// A count of an operator's applications: vectors in each direction, and passes (calls, with any number of vectors).
public struct ApplicationCount: Equatable, Sendable, Codable {
  /// The number of vectors A was applied to.
  public var jvp = 0
  /// The number of vectors Aᵀ was applied to.
  public var vjp = 0
  /// The number of calls in either direction: how often the weights were read.
  public var passes = 0

  /// A count of zero.
  public init() {}
}

/// A batch of operators that is monitored: applications are counted, products that are not finite throw, and the
/// adjoint can be checked against the operator.
///
/// A single operator is a batch of one. Callers that need n ≤ m set `isTall`: Aᵀ then takes the place of A where the
/// output is the shorter side (`isTransposed`), and only counts and errors refer to A as it was given.
public final class CheckedOperator {
  private let base: any BatchedOperator
  /// Whether Aᵀ takes the place of A.
  public let isTransposed: Bool
  /// The applications of every member; a joint application counts as one pass for each member that takes part.
  public private(set) var applications: [ApplicationCount]
  /// The space of the inputs: the one of lower dimension if tall.
  public let inputSpace: VectorSpace
  /// The space of the outputs.
  public let outputSpace: VectorSpace

  /// Wraps `base`, with the longer side as its output if `isTall`. In a team every member must make this call.
  public init(_ base: any BatchedOperator, isTall: Bool = false) {
    self.base = base
    let input = VectorSpace(holding: base.inputDimension, in: base.innerProducts)
    let output = VectorSpace(holding: base.outputDimension, in: base.innerProducts)
    isTransposed = isTall && output.dimension < input.dimension
    (inputSpace, outputSpace) = isTransposed ? (output, input) : (input, output)
    applications = Array(repeating: ApplicationCount(), count: base.batch)
  }

  /// r, the number of operators.
  public var batch: Int { base.batch }
  /// n, the dimension of the inputs: the shorter side of a tall operator.
  public var inputDimension: Int { inputSpace.dimension }
  /// m, the dimension of the outputs: the longer side of a tall operator.
  public var outputDimension: Int { outputSpace.dimension }

  /// The space that products in this direction are in.
  package func outputSpace(_ direction: ProductDirection) -> VectorSpace {
    direction == .forward ? outputSpace : inputSpace
  }

  /// The direction of the operator as it was given.
  private func given(_ direction: ProductDirection) -> ProductDirection {
    isTransposed ? direction.reversed : direction
  }

  /// Products of each active member's vectors (rows), in applications of at most `width` vectors per member.
  ///
  /// Members may have different numbers of vectors; shorter blocks are padded with zero vectors.
  public func products(
    _ direction: ProductDirection, of blocks: [Matrix<Double>], active: [Int], width: Int
  ) throws(OperatorError) -> [Matrix<Double>] {
    try LinearAlgebra.products(
      of: blocks, active: active, length: base.outputDimension(given(direction)), width: width
    ) { (v, y, b, active) throws(OperatorError) in
      try apply(direction, v, into: &y, vectors: b, active: active)
    }
  }

  /// Products of a single operator's vectors (rows), in applications of at most `width` vectors.
  public func products(
    _ direction: ProductDirection, of block: Matrix<Double>, width: Int
  ) throws(OperatorError) -> Matrix<Double> {
    try products(direction, of: [block], active: [0], width: width)[0]
  }

  /// Makes one joint application, counts it and checks that the result is finite: (active, b, n) → (active, b, m), or
  /// back.
  public func apply(
    _ direction: ProductDirection, _ v: Span<Double>, into y: inout MutableSpan<Double>,
    vectors b: Int, active: [Int] = [0]
  ) throws(OperatorError) {
    let given = given(direction)
    base.apply(given, v, into: &y, vectors: b, active: active)
    for p in active {
      applications[p].passes += 1
      if given == .forward { applications[p].jvp += b } else { applications[p].vjp += b }
    }
    let length = y.count / max(active.count, 1)
    var isBad = [Double](repeating: 0, count: active.count)
    for place in active.indices {
      let product = y.span.extracting(place * length..<(place + 1) * length)
      if !product.withUnsafeBufferPointer(allFinite) { isBad[place] = 1 }
    }
    // In a team every member throws if the part of any is not finite.
    if let place = inputSpace.summed(isBad).firstIndex(where: { $0 > 0 }) {
      throw .notFinite(given, member: active[place])
    }
  }

  /// Large enough for a chain of products in single precision, and about a hundredth of the defect that a wrong
  /// adjoint shows on a random vector of length 10⁴ (of order 1/√n).
  private static let adjointTolerance = 1e-4

  /// Throws unless ⟨A vⱼ, uᵢ⟩ = ⟨vⱼ, Aᵀ uᵢ⟩ for all given vectors (rows), up to rounding.
  ///
  /// The difference is compared with ‖A‖ ‖vⱼ‖ ‖uᵢ‖, with ‖A‖ estimated by the largest growth among these vectors: a
  /// product with a vector in the null space is nothing but rounding. A larger difference may still be rounding, if
  /// the operator is small relative to what cancels inside it. Only then is its rounding measured: with errors e ‖vⱼ‖
  /// and f ‖uᵢ‖ of the products, the difference is at most (e + f) ‖vⱼ‖ ‖uᵢ‖.
  public func checkAdjoint(
    v: Matrix<Double>, av: Matrix<Double>, u: Matrix<Double>, atu: Matrix<Double>, member: Int = 0
  ) throws(OperatorError) {
    let forward = outputSpace.inner(u, av)
    let backward = inputSpace.inner(atu, v)
    let (nv, nu) = (inputSpace.norms(v), outputSpace.norms(u))
    let growth = zip(outputSpace.norms(av) + inputSpace.norms(atu), nv + nu).reduce(0) {
      max($0, $1.1 > 0 ? $1.0 / $1.1 : 0)
    }
    var rounding: Double?
    for i in nu.indices {
      for j in nv.indices {
        let size = 2 * growth * nv[j] * nu[i]
        let defect = abs(forward[i, j] - backward[i, j])
        guard defect > Self.adjointTolerance * size else { continue }
        let errors =
          if let rounding { rounding } else {
            try self.rounding(.forward, v, av, member: member)
              + self.rounding(.adjoint, u, atu, member: member)
          }
        rounding = errors
        if defect > Self.roundingMargin * errors * nv[j] * nu[i] {
          throw .adjointMismatch(defect: defect / size, member: member)
        }
      }
    }
  }

  /// Checks the adjoint of every member by one application each way to seeded random vectors; for tests of an
  /// operator.
  public func checkAdjoint(seed: UInt64) throws(OperatorError) {
    var generator = SeededGenerator(seed: seed)
    let v = inputSpace.normalVectors(1, using: &generator)
    let u = outputSpace.normalVectors(1, using: &generator)
    for p in 0..<batch {
      let av = try products(.forward, of: [v], active: [p], width: 1)[0]
      let atu = try products(.adjoint, of: [u], active: [p], width: 1)[0]
      try checkAdjoint(v: v, av: av, u: u, atu: atu, member: p)
    }
  }

  /// Two samples of the rounding of one product differ by about √2 of its norm, and in few dimensions occasionally by
  /// less. A wrong adjoint differs by 1/√n of the operator's size, so it goes unnoticed only where rounding exceeds
  /// 1/(20 √n) of that size.
  private static let roundingMargin = 10.0

  /// The largest ‖A (α x) / α − A x‖ / ‖x‖ over some vectors (rows) whose products A x are given: for a linear map,
  /// rounding.
  private func rounding(
    _ direction: ProductDirection, _ x: Matrix<Double>, _ product: Matrix<Double>, member: Int
  ) throws(OperatorError) -> Double {
    let differences = try roundings(direction, of: x, products: product, member: member)
    let to = outputSpace(direction)
    return zip(to.norms(differences), outputSpace(direction.reversed).norms(x)).reduce(0) {
      max($0, $1.1 > 0 ? $1.0 / $1.1 : 0)
    }
  }

  /// A (α x) / α − A x for every vector x (row), given the products A x: for a linear map, rounding alone.
  ///
  /// α is not a power of two, so that the same products are rounded differently.
  func roundings(
    _ direction: ProductDirection, of x: Matrix<Double>, products: Matrix<Double>, member: Int = 0
  ) throws(OperatorError) -> Matrix<Double> {
    let α = 0.7390851332151607
    var scaled = x
    for i in scaled.elements.indices { scaled.elements[i] *= α }
    var again = try self.products(direction, of: [scaled], active: [member], width: x.rows)[0]
    for i in again.elements.indices { again.elements[i] /= α }
    return again - products
  }
}

/// Whether no number is NaN or infinite. The loop has no early exit, so that it can be vectorised.
private func allFinite(_ numbers: UnsafeBufferPointer<Double>) -> Bool {
  var allFinite = true
  for x in numbers where !(x.magnitude < .infinity) { allFinite = false }
  return allFinite
}

/// An operator breaks its contract.
public enum OperatorError: Error, Equatable, CustomStringConvertible, Sendable {
  /// A product contains NaN or infinity; `member` is the index in the batch.
  case notFinite(ProductDirection, member: Int)
  /// The defect |⟨A v, u⟩ − ⟨v, Aᵀ u⟩| / (‖A v‖ ‖u‖ + ‖v‖ ‖Aᵀ u‖) is larger than the products' rounding explains.
  case adjointMismatch(defect: Double, member: Int)

  /// The operator's index in the batch, counted from 0, for callers that know the operators by better names.
  public var member: Int {
    switch self {
    case .notFinite(_, let member), .adjointMismatch(_, let member): member
    }
  }

  /// What is wrong and what to do.
  public var description: String { "\(reason); \(remedy)" }

  /// What is wrong.
  public var reason: String {
    switch self {
    case .notFinite(let direction, _):
      "the operator returned NaN or infinity in \(direction == .forward ? "A v" : "Aᵀ u")"
    case .adjointMismatch(let defect, _):
      "the adjoint does not match the operator: ⟨A v, u⟩ and ⟨v, Aᵀ u⟩ differ by \(defect) of "
        + "their size"
    }
  }

  /// What to do.
  public var remedy: String {
    switch self {
    case .notFinite: "check its weights and its input"
    case .adjointMismatch: "correct applyAdjoint"
    }
  }
}
