public import LinearAlgebra
import Synchronization
import Weights

/// The `count` largest singular triplets by thick-restarted block Golub–Kahan Lanczos, of one operator or of many at once.
///
/// Each step applies A or Aᵀ to a block, which costs one reading of the weights however many vectors are in it, and
/// orthogonalises fully. It ends, when the estimated residual norms are within tolerance · σ₁, with one product each way
/// that measures them; both sharpen the triplets as well. Memory: 2 · subspaceDimension vectors at most, as many as were
/// made in fact. Deterministic for a seed. A singular value repeated more often than the block is wide may be returned
/// too few times: no Krylov space sees more copies than its start block.
/// Golub, Luk, Overton, ACM TOMS 7, 1981; Baglama, Reichel, Numer. Algorithms 43, 2006.
public struct BlockLanczosSolver: PartialSVDSolver {
  /// Residual norms are held to tolerance · σ₁.
  public var tolerance: Double
  /// Vectors per problem and application; nil chooses from `count`.
  public var blockSize: Int?
  /// Right vectors kept before a restart, at least count + 2 blocks; nil is generous enough to make restarts rare.
  public var subspaceDimension: Int?
  /// Restarts allowed.
  public var restarts: Int
  /// Vectors in one application, all problems of a lockstep together: the blocks shrink to fit.
  public var width: Int
  /// Of the start block.
  public var seed: UInt64

  /// The settings.
  public init(
    tolerance: Double = 1e-5, blockSize: Int? = nil, subspaceDimension: Int? = nil,
    restarts: Int = 100, width: Int = 32, seed: UInt64 = 0
  ) {
    self.tolerance = tolerance
    self.blockSize = blockSize
    self.subspaceDimension = subspaceDimension
    self.restarts = restarts
    self.width = width
    self.seed = seed
  }

  /// The `count` largest triplets, 1 ≤ count ≤ min(m, n).
  ///
  /// Throws `SolverError` for an impossible request or setting, NaN or a wrong adjoint; `LAPACKError` never in practice.
  public func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets {
    try partialSVDs(of: LockstepGroup([a]), count: count)[0]
  }

  /// The `count` largest triplets of every operator of a group, in its order, by applications they share.
  ///
  /// Each problem has its own basis and ends when it has converged; those that go on are applied without it. The
  /// answers are those of single solves with the same block size. Each report counts the passes its problem took part in.
  public func partialSVDs(
    of a: any LockstepOperator, count: Int
  ) throws -> [SingularTriplets] {
    try checkTolerance(tolerance)
    for (name, value, least) in [
      ("blockSize", blockSize ?? 1, 1), ("restarts", restarts, 0), ("width", width, 1),
    ] where value < least {
      throw SolverError.invalidSetting(
        name: name, value: "\(value)", remedy: "choose at least \(least)")
    }
    let monitored = try MonitoredOperator(a, count: count)
    let n = monitored.inputDimension
    let lanes = max(1, width / monitored.problems)
    let block = min(blockSize ?? Self.blockSize(for: count), lanes, n)
    let least = min(count + 2 * block, n)
    let dimension = min(subspaceDimension ?? max(256, 6 * count + 8 * block), n)
    guard dimension >= least else {
      throw SolverError.invalidSetting(
        name: "subspaceDimension", value: "\(dimension)",
        remedy: "choose at least \(least): the triplets asked for and two blocks")
    }
    return try run(
      monitored, count: count, blockSize: block, subspaceDimension: dimension, lanes: lanes,
      solver: "block",
      remedy: "raise restarts (now \(restarts)), subspaceDimension (now \(dimension)) "
        + "or blockSize (now \(block))")
  }

  /// The iteration itself, its settings decided; `remedy` is for running out of restarts.
  func run(
    _ a: MonitoredOperator, count: Int, blockSize: Int, subspaceDimension: Int, lanes: Int,
    solver: String, remedy: String
  ) throws -> [SingularTriplets] {
    let solves = try (0..<a.problems).map { _ in
      try BlockLanczosSolve(
        BlockBidiagonalization(
          inputDimension: a.inputDimension, outputDimension: a.outputDimension,
          blockSize: blockSize, seed: seed),
        count: count, tolerance: tolerance, subspaceDimension: subspaceDimension,
        blockSize: blockSize, restartsAllowed: restarts)
    }
    try Self.advance(solves, by: a, lanes: lanes)
    return solves.indices.map { p in
      solves[p].triplets(of: a, problem: p, solver: solver, seed: seed, remedy: remedy)
    }
  }

  /// Joint applications until every solve is finished.
  ///
  /// Those that iterate go first: a solve ready to be measured waits for the others, whose applications its many
  /// vectors would only widen.
  static func advance(
    _ solves: [BlockLanczosSolve], by a: MonitoredOperator, lanes: Int
  ) throws {
    var direction = MonitoredOperator.Direction.forward
    while true {
      let open = solves.indices.filter { !solves[$0].isFinished }
      guard !open.isEmpty else { return }
      let iterating = open.filter { !solves[$0].isMeasuring }
      let candidates = iterating.isEmpty ? open : iterating
      let active = candidates.filter { solves[$0].request.direction == direction }
      if !active.isEmpty {
        let products = try a.products(
          direction, of: active.map { solves[$0].request.vectors }, active: active, width: lanes)
        for (p, product) in zip(active, products) {
          try solves[p].check(product, from: a, problem: p)
        }
        // Each solve touches nothing but its own, so they orthogonalise side by side.
        nonisolated(unsafe) let solves = solves
        let failures = Mutex<[Int: any Error]>([:])
        Engine.forEach(active.count) { lane in
          do {
            try solves[active[lane]].receive(products[lane])
          } catch {
            failures.withLock { $0[lane] = error }
          }
        }
        if let first = failures.withLock({ $0.min { $0.key < $1.key } }) { throw first.value }
      }
      direction = direction.reversed
    }
  }

  /// A product costs about as much a vector from 8 vectors on, and a narrow block spends fewer vectors: for k = 10 on
  /// SmolLM2-135M 8 take 29 passes and half the time of 16, which take 21; on a block of Llama-3-8B's shape, from
  /// memory, 8 and 16 take the same time within a tenth. For many triplets a wider block saves orthogonalisation.
  static func blockSize(for count: Int) -> Int { count <= 50 ? 8 : 16 }
}
