import LinearAlgebra

/// One solve of the block Lanczos solver, between applications: it says what it wants applied, and takes the product.
///
/// So that many solves can share an application, nothing here calls the operator.
final class BlockLanczosSolve {
  /// What is to be applied next.
  private(set) var request: (direction: ProductDirection, vectors: Matrix<Double>)
  /// Whether the request belongs to the measurement of residual norms.
  private(set) var isMeasuring = false
  /// Whether nothing more is to be done.
  private(set) var isFinished = false

  private var process: BlockBidiagonalization
  private let count: Int
  private let tolerance: Double
  private let subspaceDimension: Int
  private let blockSize: Int
  private let restartsAllowed: Int
  private var restarts = 0
  /// Estimates must come this far below the tolerance; lowered when a measurement disappoints.
  private var goal = 1.0
  private var measurements = 0
  private var isExhausted = false
  /// Estimates are made only when convergence is in sight: after this many more products.
  private var productsToNextTest = 0
  private var lastTest: (products: Int, ratio: Double)?
  private var products = 0
  /// Measured when the solve is finished.
  private(set) var ritz: RitzTriplets?
  /// The first product, kept until the second has come to check the adjoint with.
  private var first: (v: Matrix<Double>, av: Matrix<Double>)?
  private var isChecked: Bool

  /// Goes on with a process, or begins with a new one.
  init(
    _ process: BlockBidiagonalization, count: Int, tolerance: Double, subspaceDimension: Int,
    blockSize: Int, restartsAllowed: Int
  ) throws {
    self.process = process
    self.count = count
    self.tolerance = tolerance
    self.subspaceDimension = subspaceDimension
    self.blockSize = blockSize
    self.restartsAllowed = restartsAllowed
    isChecked = process.left.count > 0
    request = (process.direction, process.pending)
    if process.isComplete { try beginMeasurement() }
  }

  /// Holds the first two products against each other, before they are received.
  ///
  /// Apart from `receive`, which runs beside others: a suspicion is cleared up by applying the operator again.
  func check(
    _ product: Matrix<Double>, from a: CheckedOperator, member: Int
  ) throws(OperatorError) {
    guard !isChecked else { return }
    if let (v, av) = first {
      try a.checkAdjoint(v: v, av: av, u: request.vectors, atu: product, member: member)
      (first, isChecked) = (nil, true)
    } else {
      first = (request.vectors, product)
    }
  }

  /// Takes the product asked for, and makes the next request.
  func receive(_ product: Matrix<Double>) throws {
    products += 1
    if isMeasuring { return try measure(product) }
    try process.absorb(product)
    if try isReady() { return try beginMeasurement() }
    let (held, whole) = (process.right.count, process.right.dimension)
    if process.direction == .forward, min(held + blockSize, whole) > subspaceDimension {
      guard restarts < restartsAllowed else {
        isExhausted = true
        return try beginMeasurement()
      }
      restarts += 1
      try process.restart(keeping: keep)
    }
    request = (process.direction, process.pending)
  }

  /// Ritz vectors that survive a restart: those wanted and a third of what else there is room for.
  private var keep: Int { count + (subspaceDimension - count - 2 * blockSize) / 3 }

  private func isReady() throws -> Bool {
    if process.isComplete { return true }
    productsToNextTest -= 1
    let limit = goal * tolerance
    guard productsToNextTest <= 0,
      let worst = try process.residualEstimates(count)?.max()
    else { return false }
    guard worst > limit else { return true }
    // Estimates fall about geometrically, later a little faster: the next one is made when most of the way extrapolated
    // from the last two has been covered, and not much later than now, so that the small eigenproblems stay cheaper than
    // the operator.
    let ratio = Double.log(worst / limit)
    productsToNextTest = products / 2
    if let last = lastTest, ratio < last.ratio {
      let perProduct = (last.ratio - ratio) / Double(products - last.products)
      productsToNextTest = Int(min(0.8 * ratio / perProduct, Double(productsToNextTest)))
    }
    lastTest = (products, ratio)
    return false
  }

  private func beginMeasurement() throws {
    isMeasuring = true
    measurements += 1
    // In the frame of the pending side: the first product is of its Ritz vectors.
    ritz = nil
    request = (process.direction, try process.ritzVectors(count))
  }

  private func measure(_ product: Matrix<Double>) throws {
    guard var result = ritz else {
      let result = try RitzTriplets(right: request.vectors, products: product)
      ritz = result
      request = (request.direction.reversed, result.left)
      return
    }
    result.measure(adjointProducts: product)
    let worst = result.residualNorms.max() ?? 0
    let bound = tolerance * result.values[0]
    ritz = request.direction == .adjoint ? result : result.flipped
    // A third disappointment is rounding, not impatience.
    if worst <= bound || isExhausted || process.isComplete || measurements == 3 {
      isFinished = true
    } else {
      goal *= min(0.3, bound / worst)
      isMeasuring = false
      request = (process.direction, process.pending)
    }
  }

  /// The answer; `remedy` is for a subspace and restarts used up. Precondition: finished.
  func triplets(
    of a: CheckedOperator, member: Int, solver: String, seed: UInt64, remedy: String
  ) -> SingularTriplets {
    guard let ritz else { preconditionFailure("the solve is not finished") }
    return a.triplets(
      ritz, member: member, solver: solver, restarts: restarts,
      subspaceDimension: process.right.count, tolerance: tolerance, seed: seed,
      stop: isExhausted ? .exhausted(remedy) : .rounding)
  }
}
