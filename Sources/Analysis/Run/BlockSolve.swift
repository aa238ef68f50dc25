import Autodiff
import Files
import Lanczos
import LinearAlgebra
import Model
import Weights

/// Jacobians of a group at one block, as operators that share their applications.
struct JacobianBatch {
  /// Their positions in the group.
  let members: [Int]
  /// The operators, one row per Jacobian.
  let rows: any BatchedOperator
  /// Frees the workspace until the next application.
  let releaseWorkspace: () -> Void

  /// A batch made of the rows of a linearization.
  init<Scalar: RealScalar>(_ members: [Int], _ linearization: Linearization<Scalar>) {
    self.members = members
    rows = linearization.rows
    releaseWorkspace = linearization.releaseWorkspace
  }
}

/// A solve that failed for one Jacobian.
struct SolveFailure: Error {
  /// The position of the Jacobian in the group.
  let jacobian: Int
  let error: any Error

  /// What happened, without the advice for authors of operators.
  var reason: String { failureReason(error) }
}

/// The work of a group of prompts at one block: Jacobians are linearized at the prompts' states and solved, and solves that
/// rounding keeps from the tolerance are continued in double precision.
final class BlockSolve<Scalar: RealScalar> {
  private let model: any Transformer
  private let point: BlockPoint<Scalar>
  private let group: PromptGroup
  private let resolved: ResolvedSettings
  private let layer: Int
  /// Whether products need no longer be computed; nil if they always are.
  private let isStopped: (() -> Bool)?
  /// The linearizations made so far: the batches, and single Jacobians in double precision.
  private var whole: [(members: [Int], linearization: Linearization<Scalar>)] = []
  private var precise: [Int: Linearization<Double>] = [:]
  /// The last prompt converted to double precision.
  private var converted: (prompt: Int, point: BlockPoint<Double>)?

  init(
    _ model: some Transformer, at point: BlockPoint<Scalar>, _ group: PromptGroup,
    _ resolved: ResolvedSettings, layer: Int, isStopped: (() -> Bool)? = nil
  ) {
    (self.model, self.point, self.group) = (model, point, group)
    (self.resolved, self.layer, self.isStopped) = (resolved, layer, isStopped)
  }

  /// Linearizes the group's batches without the Jacobians of prompts that have failed.
  ///
  /// Jacobians with fused maps, which are their own, have more to lose by sharing applications than the weights that they
  /// still share: each is a batch of its own.
  func linearize(_ jacobians: [Int]) {
    let isActive = Set(jacobians)
    whole = []
    for batch in group.batches {
      let members = batch.filter(isActive.contains)
      guard let first = members.first else { continue }
      let alone = linearization(of: [first])
      let isFused = model.team?.agreed(alone.isFused) ?? alone.isFused
      if isFused || members.count == 1 {
        whole.append(([first], alone))
        whole += members.dropFirst().map { ([$0], linearization(of: [$0])) }
      } else {
        whole.append((members, linearization(of: members)))
      }
    }
  }

  /// Whether there is nothing to solve.
  var isEmpty: Bool { whole.isEmpty }

  private func linearization(of members: [Int]) -> Linearization<Scalar> {
    residualJacobian(
      model, at: point, members.map { (group.jacobians[$0].prompt, group.jacobians[$0].tokens) },
      site: resolved.site, normed: layer == resolved.normedLayer)
  }

  /// One Jacobian at the same states with products in double precision.
  private func preciseJacobian(_ jacobian: Int) -> Linearization<Double> {
    if let known = precise[jacobian] { return known }
    let (prompt, tokens) = (group.jacobians[jacobian].prompt, group.jacobians[jacobian].tokens)
    if converted?.prompt != prompt {
      converted = (prompt, point.converted(to: Double.self, prompt: prompt, of: model))
    }
    let made = residualJacobian(
      model, at: converted!.point, [(0, tokens)], site: resolved.site,
      normed: layer == resolved.normedLayer)
    precise[jacobian] = made
    return made
  }

  /// The triplets of all Jacobians, and the noise of their operators. Throws `SolveFailure`.
  func solved<Twin: RealScalar>(
    _ sample: NoiseSample<Scalar, Twin>?, at place: NoiseSample<Scalar, Twin>.Place?
  ) throws -> SolvedBlock {
    let start = monotonicSeconds()
    var triplets = try triplets()
    // The Jacobian of a truncated prompt, which is not among the solved ones, may need a fused map of its own.
    if let sample, sample.isCut { whole.forEach { $0.linearization.releaseWorkspace() } }
    let comparison = sample.flatMap { compare($0.jacobian, at: place, triplets) }
    var precisions = triplets.map { _ in ProductPrecision(of: Scalar.self) }
    var noise = MeasuredNoise()
    noise.sample = sample.flatMap { $0.isCut ? nil : $0.jacobian }
    if Scalar.self == Double.self {
      noise.double = comparison?.noise.scaled(by: NoiseComparison.doubleShare)
    } else {
      noise.single = comparison?.noise
      let refined =
        resolved.precision == .auto
        ? triplets.indices.filter {
          triplets[$0]?.isRounded(noise.single, tolerance: resolved.tolerance) ?? false
        } : []
      for (i, jacobian) in refined.enumerated() {
        triplets[jacobian] = try refine(jacobian, triplets[jacobian]!, noise.single)
        returnMemory(after: i)
        precisions[jacobian] = .double
      }
      if !refined.isEmpty { noise.double = comparison?.ofPoint() }
    }
    let count = whole.reduce(0) { $0 + $1.members.count }
    return SolvedBlock(
      triplets: triplets.map { $0?.kept },
      seconds: (monotonicSeconds() - start) / Double(count),
      precisions: precisions, noise: noise)
  }

  private func triplets() throws -> [SingularTriplets?] {
    // What is left of their number is solved by all threads.
    let threads = whole[0].linearization.solvedAtOnce(of: whole.count, isShared: model.team != nil)
    let parallel = whole.count / threads * threads
    var results = [Result<[SingularTriplets], any Error>?](repeating: nil, count: whole.count)
    results.withUnsafeMutableBufferPointer { results in
      nonisolated(unsafe) let (results, block) = (results, self)
      let solve = { @Sendable (i: Int) in results[i] = Result { try block.solve(i) } }
      if threads > 1, parallel > 0 {
        Engine.forEach(parallel, solve)
        (parallel..<results.count).forEach(solve)
      } else {
        results.indices.forEach(solve)
      }
    }
    var triplets = [SingularTriplets?](repeating: nil, count: group.jacobians.count)
    for (batch, result) in zip(whole, results) {
      for (jacobian, found) in zip(batch.members, try result!.get()) { triplets[jacobian] = found }
    }
    return triplets
  }

  /// The triplets of one batch. Throws `SolveFailure`.
  private func solve(_ i: Int) throws -> [SingularTriplets] {
    let (members, linearization) = whole[i]
    let solver = resolved.solver.solver(
      tolerance: resolved.tolerance, seed: resolved.seed, blockSize: resolved.blockSize,
      certify: resolved.certify)
    let jacobian = divided(
      BatchedJacobian(linearization) { self.linearization(of: $0.map { members[$0] }) },
      over: model.team)
    // Others will need the memory.
    defer {
      if whole.count > 1 { linearization.releaseWorkspace() }
      returnMemory(after: i)
    }
    do {
      return try solver.partialSVDs(
        of: isStopped.map { CancellableBatch(jacobian, isCancelled: $0) } ?? jacobian,
        count: resolved.top
      ).map(\.moved)
    } catch let failure as MemberError {
      throw SolveFailure(jacobian: members[failure.member], error: failure.error)
    }
  }

  /// Returns what solves have freed, now and then: the triplets that stay lie between it.
  private func returnMemory(after solve: Int) {
    if solve % 8 == 7 { returnFreedMemory() }
  }

  private func compare<Twin: RealScalar>(
    _ jacobian: Int, at place: NoiseSample<Scalar, Twin>.Place?, _ triplets: [SingularTriplets?]
  ) -> NoiseComparison? {
    guard let place, let found = triplets[jacobian],
      let (members, linearization) = whole.first(where: { $0.members.contains(jacobian) }),
      let row = members.firstIndex(of: jacobian)
    else { return nil }
    return place.comparison(linearization.rows.member(row), found, resolved, layer: layer)
  }

  private func refine(
    _ jacobian: Int, _ found: SingularTriplets, _ noise: OperatorNoise?
  ) throws -> SingularTriplets {
    let a = preciseJacobian(jacobian)
    defer { a.releaseWorkspace() }
    do {
      return try TripletRefinement(tolerance: resolved.tolerance, seed: resolved.seed)
        .refined(found, by: divided(a, over: model.team), noise: noise).moved
    } catch {
      throw SolveFailure(jacobian: jacobian, error: error)
    }
  }

  /// The operators that the triplets belong to: the batches, with Jacobians continued in double precision on their own.
  func operators(_ precisions: [ProductPrecision]) -> [JacobianBatch] {
    var batches: [JacobianBatch] = []
    for (members, linearization) in whole {
      let rest =
        Scalar.self == Double.self ? members : members.filter { precisions[$0] == .single }
      if rest.count == members.count {
        batches.append(JacobianBatch(members, linearization))
      } else {
        if !rest.isEmpty { batches.append(JacobianBatch(rest, self.linearization(of: rest))) }
        batches += members.filter { precisions[$0] == .double }
          .map { JacobianBatch([$0], preciseJacobian($0)) }
      }
    }
    return batches
  }
}

extension Linearization {
  /// The number of Jacobians like this one that are solved at once, by one thread each: those with fused maps, as many as there
  /// are threads, unless there are fewer of them or the maps are large.
  func solvedAtOnce(of count: Int, isShared: Bool) -> Int {
    let threads = Engine.currentThreads
    return isFused && !isShared && count >= threads && fusedBytes <= 1 << 25 ? threads : 1
  }
}

extension ProductPrecision {
  fileprivate init<Scalar: RealScalar>(of scalar: Scalar.Type) {
    self = Scalar.self == Double.self ? .double : .single
  }
}
