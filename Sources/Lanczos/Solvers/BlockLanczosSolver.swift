public import LinearAlgebra
import Synchronization
public import Weights

/// The `count` largest singular triplets by thick-restarted block Golub–Kahan Lanczos, of one operator or of many at once.
///
/// Each step applies A or Aᵀ to a block, which reads the weights once however many vectors it has, and orthogonalises
/// fully. When the estimated residual norms are within tolerance · σ₁, one product each way measures them and
/// sharpens the triplets as well. Memory: at most 2 · subspaceDimension vectors, allocated as the bases grow. The
/// result is deterministic for a seed. No Krylov space contains more copies of a singular value than its start block
/// has vectors: once converged, a search looks for missed triplets, as `certify` says.
/// Golub, Luk, Overton, ACM TOMS 7, 1981; Baglama, Reichel, Numer. Algorithms 43, 2006.
public struct BlockLanczosSolver: PartialSVDSolver {
  /// The largest residual norm accepted, relative to σ₁.
  public var tolerance: Double
  /// The number of vectors per operator and application; nil chooses by `count`.
  public var blockSize: Int?
  /// The most right vectors before a restart, at least count + 2 blocks; nil chooses enough to make restarts rare.
  public var subspaceDimension: Int?
  /// The most restarts allowed.
  public var restarts: Int
  /// The number of vectors in one application of all operators of a batch together; blocks shrink to fit. Up to
  /// `Engine.independentVectors`, the default, an operator's answer depends on the others only through its block
  /// size.
  public var width: Int
  /// The seed of the start block.
  public var seed: UInt64
  /// What is to be proven about triplets that were not found.
  public var certify: CertifyMode

  /// Creates a solver with these settings.
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
  /// Throws `SolverError` for an impossible request or setting, `OperatorError` for NaN or a wrong adjoint,
  /// `LAPACKError` if the SVD of a small matrix fails.
  public func partialSVD(of a: any LinearOperator, count: Int) throws -> SingularTriplets {
    let request = try request(a, count: count)
    return try MemberError.ofOne { () throws(MemberError) in try answer(request)[0] }
  }

  /// The `count` largest triplets of every operator of a batch, in order, by shared applications.
  ///
  /// Each operator has its own basis and ends when it has converged; later applications leave it out. The answers are
  /// those of single solves with the same block size. Each report counts the passes its operator took part in. Where
  /// all triplets but at most one are requested, every basis grows to the whole space, so the operators are solved
  /// one after another to save memory.
  public func partialSVDs(
    of batch: any BatchedOperator, count: Int
  ) throws -> [SingularTriplets] {
    let request = try request(batch, count: count)
    return count < request.a.inputDimension - 1
      ? try answer(request) : try solvedInTurn(batch, count: count)
  }

  /// A checked request, with the open settings decided.
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

  /// The iteration with all settings decided; `width` is that of each operator, `remedy` is reported if restarts run
  /// out.
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
      var found = solves[p].triplets(of: a, member: p, solver: solver, remedy: remedy)
      found.report.blockSize = blockSize
      return found
    }
  }

  /// Makes joint applications, of at most `width` vectors per operator, until every solve is finished.
  ///
  /// Solves that iterate or search go first: one that is ready to be measured waits for the others, because its many
  /// vectors would only widen their applications.
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
        // Each solve touches only its own state, so they orthogonalise in parallel; in a team one after another, since
        // all members must take sums in the same order.
        nonisolated(unsafe) let solves = solves
        let failures = Mutex<[Int: any Error]>([:])
        let receive = { @Sendable (i: Int) in
          do {
            try solves[active[i]].receive(products[i])
          } catch {
            failures.withLock { $0[active[i]] = error }
          }
        }
        if a.inputSpace.isWhole {
          Engine.forEach(active.count, receive)
        } else {
          active.indices.forEach(receive)
        }
        if let first = failures.withLock({ $0.min { $0.key < $1.key } }) {
          throw MemberError(member: first.key, error: first.value)
        }
      }
      direction = direction.reversed
    }
  }

  /// The products that the active solves request; the first of each are checked against the adjoint.
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

  /// The number of triplets beyond the wanted ones that are measured, for bounds of couplings and where proofs fail for the wanted ones
  /// alone. On SmolLM2-135M, Qwen2.5-Coder-1.5B and Gemma 3 270M, 0 to 8 prove as much in as many passes. The bound of
  /// SmolLM2's mean coupling is 4.7e-6 with none, 1.0e-6 with 4 and 7.5e-7 with 8, which take 1.03 times as long.
  package static let further = 4

  /// A product costs about the same per vector from 8 vectors on, and a narrow block uses fewer vectors: for k = 10
  /// on SmolLM2-135M, 8 take 29 passes and half the time of 16, which take 21; on a block of Llama-3-8B's shape, read
  /// from memory, 8 and 16 take the same time within a tenth. For many triplets a wider block saves
  /// orthogonalisation.
  package static func blockSize(for count: Int) -> Int { count <= 50 ? 8 : 16 }
}
