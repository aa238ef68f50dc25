public import LinearAlgebra
import Synchronization
public import Weights

/// The `count` largest singular triplets by thick-restarted block Golub–Kahan Lanczos, of one operator or of many at once.
///
/// Each step applies A or Aᵀ to a block, which costs one reading of the weights however many vectors are in it, and
/// orthogonalises fully. It ends, when the estimated residual norms are within tolerance · σ₁, with one product each way
/// that measures them; both sharpen the triplets as well. Memory: 2 · subspaceDimension vectors at most, as many as were
/// made in fact. Deterministic for a seed. No Krylov space sees more copies of a singular value than its start block
/// has vectors: what has converged is searched for anything missed, as `certify` says.
/// Golub, Luk, Overton, ACM TOMS 7, 1981; Baglama, Reichel, Numer. Algorithms 43, 2006.
public struct BlockLanczosSolver: PartialSVDSolver {
  /// Residual norms are held to tolerance · σ₁.
  public var tolerance: Double
  /// Vectors per operator and application; nil chooses from `count`.
  public var blockSize: Int?
  /// Right vectors kept before a restart, at least count + 2 blocks; nil is generous enough to make restarts rare.
  public var subspaceDimension: Int?
  /// Restarts allowed.
  public var restarts: Int
  /// Vectors in one application, all operators of a batch together: the blocks shrink to fit. Up to
  /// `Engine.independentVectors`, its default, an operator's answer does not depend on the others beyond the size of its block.
  public var width: Int
  /// Of the start block.
  public var seed: UInt64
  /// What is to be proven of triplets that were not found.
  public var certify: CertifyMode

  /// The settings.
  public init(
    tolerance: Double = 1e-5, blockSize: Int? = nil, subspaceDimension: Int? = nil,
    restarts: Int = 100, width: Int = Engine.independentVectors, seed: UInt64 = 0,
    certify: CertifyMode = .auto
  ) {
    self.tolerance = tolerance
    self.blockSize = blockSize
    self.subspaceDimension = subspaceDimension
    self.restarts = restarts
    self.width = width
    self.seed = seed
    self.certify = certify
  }

  /// The `count` largest triplets, 1 ≤ count ≤ min(m, n).
  ///
  /// Throws `SolverError` for an impossible request or setting, `OperatorError` for NaN or a wrong adjoint; `LAPACKError`
  /// never in practice.
  public func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets {
    let request = try request(a, count: count)
    return try MemberError.ofOne { () throws(MemberError) in try answer(request)[0] }
  }

  /// The `count` largest triplets of every operator of a batch, in its order, by applications they share.
  ///
  /// Each operator has its own basis and ends when it has converged; those that go on are applied without it. The
  /// answers are those of single solves with the same block size. Each report counts the passes its operator took part in.
  /// Where all triplets are asked for, or all but one, every basis becomes the whole space: then they are not held in
  /// memory together, but solved one after another.
  public func partialSVDs(
    of batch: any BatchedOperator, count: Int
  ) throws -> [SingularTriplets] {
    let request = try request(batch, count: count)
    return count < request.a.inputDimension - 1
      ? try answer(request) : try solvedInTurn(batch, count: count)
  }

  /// What is asked for, checked, and the settings that were left open.
  private struct Request {
    let a: CheckedOperator
    let count: Int
    let width: Int
    let blockSize: Int
    let subspaceDimension: Int
  }

  private func request(_ base: any BatchedOperator, count: Int) throws(SolverError) -> Request {
    try checkTolerance(tolerance)
    try certify.check()
    for (name, value, least) in [
      ("blockSize", blockSize ?? 1, 1), ("restarts", restarts, 0), ("width", width, 1),
    ] where value < least {
      throw .invalidSetting(name: name, value: "\(value)", remedy: "choose at least \(least)")
    }
    let a = try CheckedOperator(base, count: count)
    let n = a.inputDimension
    let each = max(1, width / a.batch)
    let block = min(blockSize ?? Self.blockSize(for: count), each, n)
    let least = min(count + 2 * block, n)
    let dimension = min(subspaceDimension ?? max(256, 6 * count + 8 * block), n)
    guard dimension >= least else {
      throw .invalidSetting(
        name: "subspaceDimension", value: "\(dimension)",
        remedy: "choose at least \(least): the triplets asked for and two blocks")
    }
    return Request(
      a: a, count: count, width: each, blockSize: block, subspaceDimension: dimension)
  }

  private func answer(_ request: Request) throws(MemberError) -> [SingularTriplets] {
    try run(
      request.a, count: request.count, blockSize: request.blockSize,
      subspaceDimension: request.subspaceDimension, width: request.width, solver: "block",
      remedy: "raise restarts (now \(restarts)), "
        + "subspaceDimension (now \(request.subspaceDimension)) "
        + "or blockSize (now \(request.blockSize))")
  }

  /// The iteration itself, its settings decided; `width` is each operator's, `remedy` is for running out of restarts.
  func run(
    _ a: CheckedOperator, count: Int, blockSize: Int, subspaceDimension: Int, width: Int,
    solver: String, remedy: String
  ) throws(MemberError) -> [SingularTriplets] {
    var solves: [BlockLanczosSolve] = []
    for p in 0..<a.batch {
      do {
        solves.append(
          try BlockLanczosSolve(
            BlockBidiagonalization(of: a, blockSize: blockSize, seed: seed),
            BlockLanczosSolve.Task(
              count: count, tolerance: tolerance, subspaceDimension: subspaceDimension,
              blockSize: blockSize, restartsAllowed: restarts, certify: certify, seed: seed)))
      } catch {
        throw MemberError(member: p, error: error)
      }
    }
    try Self.advance(solves, by: a, width: width)
    return solves.indices.map { p in
      solves[p].triplets(of: a, member: p, solver: solver, remedy: remedy)
    }
  }

  /// Joint applications, of at most `width` vectors of each, until every solve is finished.
  ///
  /// Those that iterate or search go first: a solve ready to be measured waits for the others, whose applications its many
  /// vectors would only widen.
  static func advance(
    _ solves: [BlockLanczosSolve], by a: CheckedOperator, width: Int
  ) throws(MemberError) {
    var direction = ProductDirection.forward
    while true {
      let open = solves.indices.filter { solves[$0].phase != .finished }
      guard !open.isEmpty else { return }
      let growing = open.filter { solves[$0].phase != .measuring }
      let candidates = growing.isEmpty ? open : growing
      let active = candidates.filter { solves[$0].request.direction == direction }
      if !active.isEmpty {
        let products = try products(of: active, solves, by: a, direction, width: width)
        // Each solve touches nothing but its own, so they orthogonalise side by side.
        nonisolated(unsafe) let solves = solves
        let failures = Mutex<[Int: any Error]>([:])
        Engine.forEach(active.count) { i in
          do {
            try solves[active[i]].receive(products[i])
          } catch {
            failures.withLock { $0[active[i]] = error }
          }
        }
        if let first = failures.withLock({ $0.min { $0.key < $1.key } }) {
          throw MemberError(member: first.key, error: first.value)
        }
      }
      direction = direction.reversed
    }
  }

  /// What the active solves ask for, the first of them held against their adjoints.
  private static func products(
    of active: [Int], _ solves: [BlockLanczosSolve], by a: CheckedOperator,
    _ direction: ProductDirection, width: Int
  ) throws(MemberError) -> [Matrix<Double>] {
    do {
      let products = try a.products(
        direction, of: active.map { solves[$0].request.vectors }, active: active, width: width)
      for (p, product) in zip(active, products) {
        try solves[p].check(product, from: a, member: p)
      }
      return products
    } catch {
      throw MemberError(member: error.member, error: error)
    }
  }

  /// A product costs about as much a vector from 8 vectors on, and a narrow block spends fewer vectors: for k = 10 on
  /// SmolLM2-135M 8 take 29 passes and half the time of 16, which take 21; on a block of Llama-3-8B's shape, from
  /// memory, 8 and 16 take the same time within a tenth. For many triplets a wider block saves orthogonalisation.
  static func blockSize(for count: Int) -> Int { count <= 50 ? 8 : 16 }
}
