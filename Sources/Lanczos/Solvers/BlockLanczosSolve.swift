import LinearAlgebra

/// One solve of the block Lanczos solver as a state machine between applications: it requests a product and then
/// receives it.
///
/// It iterates until the estimated residual norms are small, measures them, and proves with its own space that nothing
/// is missing, after a few more products if need be. Where that fails, it searches for triplets it may have missed;
/// those it finds join the wanted ones, and the iteration continues. Nothing here calls the operator, so that many
/// solves can share an application.
final class BlockLanczosSolve {
  /// The settings of a solve.
  struct Task {
    /// The number of triplets requested.
    var count: Int
    var tolerance: Double
    var subspaceDimension: Int
    var blockSize: Int
    var restartsAllowed: Int
    var certify: CertifyMode
    var seed: UInt64
  }

  /// The purpose of the pending request.
  enum Phase {
    case iterating, measuring, proving, searching, finished
  }

  /// The purpose of the pending request.
  private(set) var phase = Phase.iterating
  /// The vectors to be applied next, and in which direction.
  private(set) var request: (direction: ProductDirection, vectors: Matrix<Double>)

  private let task: Task
  private var process: BlockBidiagonalization
  /// Whether the process began with found triplets, whose residuals it does not contain.
  private var isSeeded = false
  /// The number of triplets to converge: those requested, and the rest of a cluster at the cut.
  private var wanted: Int
  private var restarts = 0
  /// The factor by which estimates must be below the tolerance; lowered when measured norms turn out larger.
  private var goal = 1.0
  private var measurements = 0
  private var isExhausted = false
  private var forecast = ConvergenceForecast()
  /// All products so far, and the number after which the requested triplets had converged.
  private var products: Int
  private var productsToConverge: Int?
  /// The requested triplets and further ones, measured.
  private var ritz: RitzTriplets?
  private var proof = OwnProof()
  private var search: OutsideSearch?
  private var round = 0
  /// The requested values of the last round, and whether the last search found a missed one.
  private var known: [Double]?
  private var hasMissed = false
  /// The largest number of vectors a basis has had.
  private var held = 0
  private var broughtIn = 0
  private var certificate: Certificate?
  /// All applications of the operator, and how many of them the searches made.
  private var spent = ApplicationCount()
  private var spentBefore = ApplicationCount()
  private var searching = ApplicationCount()
  /// The first product, kept to check the adjoint against the second.
  private var first: (v: Matrix<Double>, av: Matrix<Double>)?
  private var isChecked: Bool

  /// Starts with a new process.
  init(_ process: BlockBidiagonalization, _ task: Task) throws {
    self.process = process
    self.task = task
    wanted = task.count
    products = 0
    isChecked = false
    request = (process.direction, process.pending)
  }

  /// Continues from triplets found elsewhere and measured, of which the first `count` are those requested; finding
  /// them took the applications `spent`.
  init(_ found: RitzTriplets, spent: ApplicationCount, _ task: Task) throws {
    self.spent = spent
    process = BlockBidiagonalization(
      into: found.leftSpace, startingWith: found.right, in: found.rightSpace,
      SeededGenerator(seed: task.seed))
    self.task = task
    wanted = task.count
    products = spent.passes
    isChecked = true
    request = (process.direction, process.pending)
    ritz = found
    if isConverged(found) { try settle(found) } else { refine(found) }
  }

  /// Checks the adjoint with the first two products, before they are received.
  ///
  /// This is not part of `receive`, which runs in parallel with other solves, because a suspected defect is settled
  /// by applying the operator again.
  func check(
    _ product: Matrix<Double>, from a: CheckedOperator, member: Int
  ) throws(OperatorError) {
    if !isChecked {
      if let (v, av) = first {
        try a.checkAdjoint(v: v, av: av, u: request.vectors, atu: product, member: member)
        (first, isChecked) = (nil, true)
      } else {
        first = (request.vectors, product)
      }
    }
    spent = a.applications[member]
  }

  /// Takes the product requested and makes the next request.
  func receive(_ product: Matrix<Double>) throws {
    products += 1
    switch phase {
    case .iterating: try iterate(product)
    case .measuring: try measure(product)
    case .proving:
      process.absorb(product)
      countSearch()
      if let ritz { try settle(ritz) }
    case .searching: try look(product)
    case .finished: preconditionFailure("nothing was asked for")
    }
  }

  // MARK: Iterating

  private func iterate(_ product: Matrix<Double>) throws {
    process.absorb(product)
    if try isReady() { return try beginMeasurement() }
    let (count, whole) = (process.right.count, process.right.dimension)
    let width = count - process.newest
    let limit = max(task.subspaceDimension, wanted + 2 * width)
    if process.direction == .forward, min(count + width, whole) > limit {
      guard restarts < task.restartsAllowed else {
        isExhausted = true
        return try beginMeasurement()
      }
      restarts += 1
      // Keep the wanted ones and a third of the remaining room.
      try process.restart(keeping: wanted + (limit - wanted - 2 * width) / 3)
    }
    request = (process.direction, process.pending)
  }

  private func isReady() throws -> Bool {
    if process.isComplete { return true }
    guard forecast.isDue(),
      let worst = try process.residualEstimates(wanted, beyond: further)?.prefix(wanted).max()
    else { return false }
    let limit = goal * task.tolerance
    if worst <= limit { return true }
    forecast.missed(by: worst / limit)
    // Whether following the cluster at the cut has taken longer than the rest.
    if let productsToConverge { return products > 3 * productsToConverge }
    return false
  }

  /// The number of triplets beyond the wanted ones that are measured.
  private var further: Int { task.certify == .off ? 0 : BlockLanczosSolver.further }

  // MARK: Measuring

  private func beginMeasurement() throws {
    phase = .measuring
    measurements += 1
    // In the orientation of the pending side: the first product is of its Ritz vectors.
    ritz = nil
    let most = min(process.left.count, process.right.count)
    request = (process.direction, try process.ritzVectors(min(wanted + further, most)))
  }

  private func measure(_ product: Matrix<Double>) throws {
    guard var result = ritz else {
      let (left, right) = (process.left.space, process.right.space)
      let isForward = request.direction == .forward
      let result = try RitzTriplets(
        right: request.vectors, isForward ? right : left, products: product,
        isForward ? left : right)
      ritz = result
      request = (request.direction.reversed, result.left)
      return
    }
    result.measure(adjointProducts: product)
    if request.direction == .forward { result = result.flipped }
    ritz = result
    if isConverged(result) || isExhausted || process.isComplete {
      try settle(result)
    } else if isSeeded {
      refine(result)
    } else if measurements == 3 || productsToConverge.map({ products > 3 * $0 }) ?? false {
      // After a third measurement that misses the tolerance, rounding is the cause.
      try settle(result)
    } else {
      let worst = result.residualNorms.prefix(wanted).max() ?? 0
      goal *= min(0.3, task.tolerance * result.values[0] / worst)
      goOn()
    }
  }

  private func isConverged(_ found: RitzTriplets) -> Bool {
    found.residualNorms.prefix(wanted).allSatisfy { $0 <= task.tolerance * found.values[0] }
  }

  private func goOn() {
    phase = .iterating
    request = (process.direction, process.pending)
  }

  /// Starts a new iteration with the found triplets as its start block, assuming nothing else about them.
  private func refine(_ found: RitzTriplets) {
    process = BlockBidiagonalization(
      into: found.leftSpace, startingWith: found.right.prefix(wanted), in: found.rightSpace,
      SeededGenerator(seed: task.seed))
    begin(isSeeded: false)
  }

  private func begin(isSeeded: Bool) {
    self.isSeeded = isSeeded
    (goal, measurements, forecast) = (1, 0, ConvergenceForecast())
    goOn()
  }

  // MARK: Proving

  /// Finishes with what the solve's own space proves, or requests another product that may lead to a proof; false if a
  /// search is needed.
  private func proves(_ found: RitzTriplets) throws -> Bool {
    let δ = task.certify.failureProbability / 2
    let attempt = try proof.attempt(
      process, found, count: task.count, wanted: wanted, mode: task.certify, failureProbability: δ)
    if case .proven(let outside, let locked) = attempt {
      finish(found.prefix(locked), outside: outside, failureProbability: δ)
      return true
    }
    let width = process.pending.rows
    let share = CertifyMode.autoShare * Double(products - proof.products)
    guard case .unproven(let isHopeful) = attempt, isHopeful, !isExhausted,
      Double(proof.products + 1) <= share,
      process.right.count + width <= max(task.subspaceDimension, wanted + 2 * width)
    else { return false }
    proof.products += 1
    phase = .proving
    spentBefore = spent
    request = (process.direction, process.pending)
    return true
  }

  /// Adds the applications since `spentBefore` to those of the certificate.
  private func countSearch() {
    searching.jvp += spent.jvp - spentBefore.jvp
    searching.vjp += spent.vjp - spentBefore.vjp
    searching.passes += spent.passes - spentBefore.passes
  }

  // MARK: Searching

  /// Decides how to go on from triplets that are measured and will not improve: the cluster's end, a proof, a search, or
  /// the answer.
  private func settle(_ found: RitzTriplets) throws {
    let count = task.count
    held = max(held, process.right.count)
    guard task.certify != .off, !isExhausted || productsToConverge != nil else {
      return finish(found)
    }
    let whole = process.right.dimension
    let cluster = ClusterAtCut(found, count: count, tolerance: task.tolerance, limit: whole)
    let end = cluster.end(found.values)
    if end > wanted {
      wanted = end
      let first = productsToConverge ?? products
      productsToConverge = first
      // Continue until the cluster's end has converged, unless that takes twice as long as everything before.
      let isOpen = end == found.values.count && end < cluster.cap
      if isOpen || !isConverged(found), products <= 3 * first, !isExhausted {
        measurements = 0
        return process.isComplete ? try beginMeasurement() : goOn()
      }
    }
    noteWhatIsNew(found.values)
    if process.isComplete {
      let k = found.values.count
      let values = try process.valuesBeyond(0)
      return finish(found, outside: k < values.count ? values[k] : 0, failureProbability: 0)
    }
    if try proves(found) { return }
    let locked = found.prefix(found.lockable(count, wanted: wanted))
    let worst = found.residualNorms.prefix(count).max() ?? 0
    let last = found.values[count - 1]
    let miss = last + max(task.tolerance * found.values[0], worst)
    let reach = wanted < cluster.cap ? found.values[end - 1] - cluster.distance : miss
    round += 1
    let search = OutsideSearch(
      beside: locked,
      aims: OutsideSearch.Aims(
        last: last, residualNorm: locked.residualNorm(locked.values.count), miss: miss,
        member: round <= cluster.cap + 2 ? min(miss, reach) : nil, mode: task.certify,
        solveProducts: products - proof.products, productsToProve: proof.products),
      // The missed value may have many copies: a wider block finds more of them.
      blockSize: min(max(task.blockSize, 16), task.blockSize << min(round - 1, 4)),
      seed: task.seed, round: round)
    ritz = locked
    spentBefore = spent
    request = (search.process.direction, search.process.pending)
    if request.vectors.rows == 0 { return finish(locked, outside: 0, failureProbability: 0) }
    self.search = search
    phase = .searching
    // Release the bases, which are no longer needed.
    process = BlockBidiagonalization(
      into: found.leftSpace,
      startingWith: Matrix(rows: 0, columns: found.rightSpace.held.count), in: found.rightSpace,
      SeededGenerator(seed: task.seed))
  }

  /// Counts the requested values that were not among those before the last search.
  private func noteWhatIsNew(_ values: [Double]) {
    let asked = Array(values.prefix(task.count))
    if let known {
      let least = asked[task.count - 1] - task.tolerance * asked[0]
      broughtIn += max(hasMissed ? 1 : 0, known.count { $0 <= least })
    }
    (known, hasMissed) = (asked, false)
  }

  private func look(_ product: Matrix<Double>) throws {
    // In place: a copy of the search would copy its bases.
    guard let found = ritz, let finding = try search?.absorb(product),
      let looked = search?.process
    else { preconditionFailure("nothing is searched") }
    if case .undecided = finding {
      request = (looked.direction, looked.pending)
      return
    }
    search = nil
    countSearch()
    switch finding {
    case .members(let count, let isMiss):
      process = looked
      hasMissed = isMiss
      let cluster = ClusterAtCut(
        found, count: task.count, tolerance: task.tolerance, limit: process.right.dimension)
      if wanted > task.count { wanted = min(wanted + count, max(wanted, cluster.cap)) }
      begin(isSeeded: true)
      if process.isComplete { try beginMeasurement() }
    case .bounded(let outside, let δ):
      finish(found, outside: outside, failureProbability: δ)
    case .undecided: break
    }
  }

  // MARK: The answer

  private func finish(
    _ found: RitzTriplets, outside: Double? = nil, failureProbability: Double = 1
  ) {
    ritz = found
    phase = .finished
    guard let outside else { return }
    let deflated = found.values.count
    let residualNorm = found.residualNorm(deflated)
    certificate = Certificate(
      outside: outside, failureProbability: failureProbability, deflated: deflated,
      residualNorm: residualNorm,
      isProof: outside + residualNorm <= found.values[task.count - 1], broughtIn: broughtIn,
      applications: searching)
  }

  /// The answer. `remedy` is reported if restarts run out; `restarts` and `subspaceDimension` override the solve's
  /// own where the iteration ran elsewhere. Precondition: finished.
  func triplets(
    of a: CheckedOperator, member: Int = 0, solver: String, remedy: String, restarts: Int? = nil,
    subspaceDimension: Int? = nil
  ) -> SingularTriplets {
    guard let ritz, phase == .finished else { preconditionFailure("the solve is not finished") }
    return a.triplets(
      ritz, count: task.count, certificate: certificate, member: member, solver: solver,
      restarts: restarts ?? self.restarts, subspaceDimension: subspaceDimension ?? held,
      tolerance: task.tolerance, seed: task.seed,
      stop: isExhausted ? .exhausted(remedy) : .rounding)
  }
}
