import LinearAlgebra

/// One solve of the block Lanczos solver, between applications: it says what it wants applied, and takes the product.
///
/// It iterates until estimates of the residual norms are small, measures them, and searches for what it may have missed; what
/// is found joins, and the iteration goes on. So that many solves can share an application, nothing here calls the operator.
final class BlockLanczosSolve {
  /// What a solve is given to do.
  struct Task {
    /// Triplets asked for.
    var count: Int
    var tolerance: Double
    var subspaceDimension: Int
    var blockSize: Int
    var restartsAllowed: Int
    var certify: CertifyMode
    var seed: UInt64
  }

  /// What the request is for.
  enum Phase {
    case iterating, measuring, searching, finished
  }

  /// What the request is for.
  private(set) var phase = Phase.iterating
  /// What is to be applied next.
  private(set) var request: (direction: ProductDirection, vectors: Matrix<Double>)

  private let task: Task
  private var process: BlockBidiagonalization
  /// Whether the process began with found triplets, whose residuals it knows nothing of.
  private var isSeeded = false
  /// Triplets to be converged: those asked for, and the rest of a cluster at the cut.
  private var wanted: Int
  private var restarts = 0
  /// Estimates must come this far below the tolerance; lowered when a measurement disappoints.
  private var goal = 1.0
  private var measurements = 0
  private var isExhausted = false
  private var forecast = ConvergenceForecast()
  /// All products, and after how many of them the triplets asked for had converged.
  private var products: Int
  private var productsToConverge: Int?
  /// Triplets asked for and further ones, measured.
  private var ritz: RitzTriplets?
  private var search: OutsideSearch?
  private var round = 0
  /// The asked values of the last round, and how many of later ones were not among them.
  private var known: [Double]?
  private var hasMissed = false
  /// The most vectors in a basis.
  private var held = 0
  private var broughtIn = 0
  private var certificate: Certificate?
  /// What the operator was asked for, and of that by searches.
  private var spent = ApplicationCount()
  private var spentBefore = ApplicationCount()
  private var searching = ApplicationCount()
  /// The first product, kept until the second has come to check the adjoint with.
  private var first: (v: Matrix<Double>, av: Matrix<Double>)?
  private var isChecked: Bool

  /// Begins with a new process.
  init(_ process: BlockBidiagonalization, _ task: Task) throws {
    self.process = process
    self.task = task
    wanted = task.count
    products = 0
    isChecked = false
    request = (process.direction, process.pending)
  }

  /// Goes on from triplets found elsewhere and measured, the first `count` of them asked for, by as many products as passes were
  /// `spent`.
  init(_ found: RitzTriplets, spent: ApplicationCount, _ task: Task) throws {
    self.spent = spent
    process = BlockBidiagonalization(
      outputDimension: found.left.columns, startingWith: found.right,
      SeededGenerator(seed: task.seed))
    self.task = task
    wanted = task.count
    products = spent.passes
    isChecked = true
    request = (process.direction, process.pending)
    ritz = found
    if isConverged(found) { try settle(found) } else { refine(found) }
  }

  /// Holds the first two products against each other, before they are received.
  ///
  /// Apart from `receive`, which runs beside others: a suspicion is cleared up by applying the operator again.
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

  /// Takes the product asked for, and makes the next request.
  func receive(_ product: Matrix<Double>) throws {
    products += 1
    switch phase {
    case .iterating: try iterate(product)
    case .measuring: try measure(product)
    case .searching: try look(product)
    case .finished: preconditionFailure("nothing was asked for")
    }
  }

  // MARK: Iterating

  private func iterate(_ product: Matrix<Double>) throws {
    try process.absorb(product)
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
      // Those wanted and a third of what else there is room for.
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
    // Whether the cluster at the cut is followed for longer than the rest took.
    if let productsToConverge { return products > 3 * productsToConverge }
    return false
  }

  /// Triplets beyond the wanted ones that are worth measuring: on SmolLM2-135M 8 more spare a proof 6 of 14 passes.
  static let further = 8
  /// Fewer beside a narrow block, whose applications are that narrow.
  private var further: Int {
    task.certify == .off ? 0 : max(4, min(Self.further, task.blockSize))
  }

  // MARK: Measuring

  private func beginMeasurement() throws {
    phase = .measuring
    measurements += 1
    // In the frame of the pending side: the first product is of its Ritz vectors.
    ritz = nil
    let most = min(process.left.count, process.right.count)
    request = (process.direction, try process.ritzVectors(min(wanted + further, most)))
  }

  private func measure(_ product: Matrix<Double>) throws {
    guard var result = ritz else {
      let result = try RitzTriplets(right: request.vectors, products: product)
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
      // A third disappointment is rounding, not impatience.
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

  /// An iteration with the found triplets as its start block, of which nothing is taken for granted.
  private func refine(_ found: RitzTriplets) {
    process = BlockBidiagonalization(
      outputDimension: found.left.columns, startingWith: found.right.prefix(wanted),
      SeededGenerator(seed: task.seed))
    begin(isSeeded: false)
  }

  private func begin(isSeeded: Bool) {
    self.isSeeded = isSeeded
    (goal, measurements, forecast) = (1, 0, ConvergenceForecast())
    goOn()
  }

  // MARK: Searching

  /// Measured, and as good as they get.
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
      // On to where the cluster ends, converged, unless that takes twice as long as all there was before.
      let isOpen = end == found.values.count && end < cluster.cap
      if isOpen || !isConverged(found), products <= 3 * first, !isExhausted {
        measurements = 0
        return process.isComplete ? try beginMeasurement() : goOn()
      }
    }
    noteWhatIsNew(found.values)
    if process.isComplete {
      let k = found.values.count
      let values = try process.projected.singularValueDecomposition().values
      return finish(found, outside: k < values.count ? values[k] : 0, failureProbability: 0)
    }
    let locked = found.prefix(deflated(found))
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
        solveProducts: products),
      // What was missed may be a value of many copies: a wider block sees more of them.
      blockSize: min(max(task.blockSize, 16), task.blockSize << min(round - 1, 4)),
      seed: task.seed, round: round)
    ritz = locked
    spentBefore = spent
    request = (search.process.direction, search.process.pending)
    if request.vectors.rows == 0 { return finish(locked, outside: 0, failureProbability: 0) }
    self.search = search
    phase = .searching
    // The bases are not needed any more.
    process = BlockBidiagonalization(
      outputDimension: found.left.columns, startingWith: Matrix(rows: 0, columns: whole),
      SeededGenerator(seed: task.seed))
  }

  /// How many of the found triplets are held fixed: all whose residual norms together are small beside what is gained.
  private func deflated(_ found: RitzTriplets) -> Int {
    let last = found.values[task.count - 1]
    let least = found.residualNorm(wanted)
    return (wanted...max(wanted, found.values.count)).last {
      found.residualNorm($0) <= max(least, 0.1 * (last - found.values[$0 - 1]))
    } ?? wanted
  }

  /// Counts the asked values that were not among those before the last search.
  private func noteWhatIsNew(_ values: [Double]) {
    let asked = Array(values.prefix(task.count))
    if let known {
      let least = asked[task.count - 1] - task.tolerance * asked[0]
      broughtIn += max(hasMissed ? 1 : 0, known.count { $0 <= least })
    }
    (known, hasMissed) = (asked, false)
  }

  private func look(_ product: Matrix<Double>) throws {
    // In place: a copy of the search would be one of its bases.
    guard let found = ritz, let finding = try search?.absorb(product),
      let looked = search?.process
    else { preconditionFailure("nothing is searched") }
    if case .undecided = finding {
      request = (looked.direction, looked.pending)
      return
    }
    search = nil
    searching.jvp += spent.jvp - spentBefore.jvp
    searching.vjp += spent.vjp - spentBefore.vjp
    searching.passes += spent.passes - spentBefore.passes
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

  /// The answer; `remedy` is for a subspace and restarts used up, `restarts` and `subspaceDimension` are those of an iteration
  /// elsewhere. Precondition: finished.
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
