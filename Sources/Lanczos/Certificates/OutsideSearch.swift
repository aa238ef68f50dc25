import LinearAlgebra

/// Searches for triplets of an operator beyond those already found, starting from vectors the solve has not used.
///
/// A Krylov space contains no component of a singular vector that its start block is orthogonal to, and at most as
/// many copies of a repeated value as the block has vectors; small residual norms say nothing about what is missing.
/// So the found triplets are locked, as a restart locks its Ritz vectors, and a fresh Gaussian block grows a space of
/// B = (I − UUᵀ) A (I − VVᵀ) until it contains a value that belongs among the wanted ones, or bounds all values of B
/// (`OutsideSpace`), or reaches its largest size.
struct OutsideSearch {
  /// The thresholds that the search decides by.
  struct Aims {
    /// The last value requested.
    let last: Double
    /// ‖R‖₂ of the locked triplets: nothing is missing once all of B lies further than this below `last`.
    let residualNorm: Double
    /// A value above this cannot be one of those below `last`: it was missed.
    let miss: Double
    /// A value above this belongs among the wanted ones; nil if no more are to be added.
    let member: Double?
    /// What is to be proven, and at what cost.
    let mode: CertifyMode
    /// Products that the solve has taken so far, and those it took to prove this with its own space.
    let solveProducts: Int
    let productsToProve: Int
  }

  /// The conclusion after a product.
  enum Finding {
    /// No conclusion yet; more products are needed.
    case undecided
    /// This many Ritz values belong among the wanted ones; `isMiss` tells a missed value from the continuation of a
    /// cluster.
    case members(Int, isMiss: Bool)
    /// No value of B is larger than this bound, wrong with probability δ.
    case bounded(by: Double, failureProbability: Double)
  }

  /// The bidiagonalisation: the locked triplets first, then the space of the search.
  private(set) var process: BlockBidiagonalization
  private let locked: Int
  private let aims: Aims
  private let start: Matrix<Double>
  private let failureProbability: Double
  private let limit: Int
  private var products = 0
  private var nextTest: Int
  private var last: (products: Int, risk: Double)?

  /// A search beyond `found` triplets, A V = U Σ, with blocks of `blockSize` vectors from this seed; `round` counts
  /// the searches of one solve from 1.
  ///
  /// Round r fails with probability δ/2ʳ⁺¹, so that all rounds and the solve's own space (`OwnSpace`), whose proof comes
  /// first, together fail with probability δ at most.
  init(beside found: RitzTriplets, aims: Aims, blockSize: Int, seed: UInt64, round: Int) {
    var process = BlockBidiagonalization(found, seed: seed &+ UInt64(round))
    locked = found.values.count
    start = process.appendRandom(min(blockSize, process.right.dimension - locked))
    self.process = process
    self.aims = aims
    failureProbability =
      aims.mode.failureProbability / Double(sign: .plus, exponent: round + 1, significand: 1)
    limit = max(512, 2 * aims.solveProducts * blockSize)
    nextTest = 3
  }

  /// Takes the product of the process's pending block and says what it shows.
  mutating func absorb(_ product: Matrix<Double>) throws(LAPACKError) -> Finding {
    process.absorb(product)
    products += 1
    let isLast = process.isComplete || process.right.count - locked > limit
    guard isLast || products >= nextTest else { return .undecided }
    if process.isComplete {
      let values = try process.valuesBeyond(locked)
      return members(values) ?? .bounded(by: values.first ?? 0, failureProbability: 0)
    }
    let space = try process.outside(locked: locked, start: start)
    if let members = members(space.ritzValues) { return members }
    if let known = try excluded(space) {
      return .bounded(
        by: try space.bound(below: known, failureProbability: failureProbability),
        failureProbability: failureProbability)
    }
    guard isLast else { return .undecided }
    return .bounded(
      by: try space.bound(below: nil, failureProbability: failureProbability),
      failureProbability: failureProbability)
  }

  private func members(_ values: [Double]) -> Finding? {
    guard let least = aims.member, let first = values.first, first > least else { return nil }
    return .members(values.count { $0 > least }, isMiss: first > aims.miss)
  }

  /// The lowest value known to be ruled out, if it meets the aim; nil if more products are needed.
  private mutating func excluded(_ space: OutsideSpace) throws(LAPACKError) -> Double? {
    let bound = CertifyMode.boundFactor * aims.last
    let proof = aims.last - aims.residualNorm
    // Where values lie too close to the last one to tell them apart, rule out only what is distinctly larger.
    let aim = space.largest < proof ? proof : max(aims.miss, space.largest * (1 + 1e-6))
    let share =
      Int((CertifyMode.autoShare * Double(aims.solveProducts)).rounded(.up)) - aims.productsToProve
    let isShort =
      switch aims.mode {
      case .bound: true
      case .auto: products >= share
      default: false
      }
    let goal = isShort ? max(bound, aim) : aim
    let risk = try space.risk(goal, failureProbability: failureProbability)
    if risk < 1 {
      // Take the proof if it holds already.
      guard goal > aim else { return goal }
      return try space.risk(aim, failureProbability: failureProbability) < 1 ? aim : goal
    }
    // ρ falls about geometrically: test again when most of the way has been covered, and soon enough for `auto` to
    // fall back to the bound.
    nextTest = products + 1
    if let last, risk < last.risk, last.risk.isFinite {
      let perProduct = Double.log(last.risk / risk) / Double(products - last.products)
      nextTest += Int(min(0.7 * Double.log(risk) / perProduct, Double(products)))
    }
    if !isShort, aims.mode == .auto { nextTest = min(nextTest, max(products + 1, share)) }
    last = (products, risk)
    return nil
  }
}

extension BlockBidiagonalization {
  /// The space beyond the first `count` triplets, which are locked; `start` is R.
  func outside(locked count: Int, start: Matrix<Double>) throws(LAPACKError) -> OutsideSpace {
    try OutsideSpace(
      projected.dropping(rows: count, columns: count), applied: newest - count,
      pending: direction, start: start, in: space)
  }

  /// The singular values of H beyond the first `count` triplets, which are locked.
  func valuesBeyond(_ count: Int) throws(LAPACKError) -> [Double] {
    try space.singularValueDecomposition(projected.dropping(rows: count, columns: count)).values
  }
}
