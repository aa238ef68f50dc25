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
  /// Whether one thread computes with it while others compute with other batches.
  let suitsOneThread: Bool
  /// J y for each Jacobian, if it was computed for the linearised image y before the block.
  let step: [Double]?
  /// Frees the workspace until the next application.
  let releaseWorkspace: () -> Void

  /// A batch made of the rows of a linearization.
  init<Scalar: RealScalar>(
    _ members: [Int], _ linearization: Linearization<Scalar>, step: [Double]? = nil
  ) {
    (self.members, self.step) = (members, step)
    rows = linearization.rows
    suitsOneThread = linearization.suitsOneThread
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
/// rounding keeps from the tolerance are continued in double precision. `Twin` is the precision of the sample that shows the
/// noise of the products.
final class BlockSolve<Scalar: RealScalar, Twin: RealScalar> {
  private let model: any Transformer
  private let point: BlockPoint<Scalar>
  private var place: NoiseSample<Scalar, Twin>.Place?
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
  /// The linearised image before the block, one row per Jacobian, if it is known before the batches are solved: each is then
  /// applied to its rows while its matrices are formed.
  var image: Matrix<Double>?
  /// What was found for each batch, and the seconds per Jacobian; nil until the batches are solved.
  private var found: (batches: [Result<SolvedBatch, any Error>], seconds: Double)?

  /// The triplets of a batch, and for the batch with the sample's Jacobian what the sample shows.
  private struct SolvedBatch {
    let triplets: [SingularTriplets]
    let comparison: NoiseComparison?
    let step: [Double]?
  }

  /// The work at a point of the pass.
  init(
    _ model: some Transformer, at point: BlockPoint<Scalar>, _ group: PromptGroup,
    _ resolved: ResolvedSettings, layer: Int, isStopped: (() -> Bool)? = nil
  ) {
    (self.model, self.point, self.group) = (model, point, group)
    (self.resolved, self.layer, self.isStopped) = (resolved, layer, isStopped)
  }

  /// Has the sample's Jacobian at the same block, if there is one, compared with the solved one.
  func compare(beside step: NoiseSample<Scalar, Twin>.Step?) {
    place = step?.place(beside: point)
  }

  /// Linearizes the group's batches without the Jacobians of prompts that have failed.
  ///
  /// Jacobians with fused maps, which are their own, have more to lose by sharing applications than the weights that they
  /// still share: each is a batch of its own.
  func linearize(_ jacobians: [Int]) {
    let isActive = Set(jacobians)
    (whole, found) = ([], nil)
    for batch in group.batches {
      let members = batch.filter(isActive.contains)
      guard let first = members.first else { continue }
      let alone = linearization(of: [first])
      let isFused = model.team?.agreed(alone.isFused) ?? alone.isFused
      if isFused || members.count == 1 {
        whole.append(([first], alone))
        whole += Engine.map(
          Array(members.dropFirst()), isDivided: model.team == nil && alone.suitsOneThread
        ) { ([$0], linearization(of: [$0])) }
      } else {
        whole.append((members, linearization(of: members)))
      }
    }
  }

  /// The number of batches.
  var count: Int { whole.count }

  /// Whether one thread can solve a batch while others solve other batches, of this block or of others.
  var suitsOneThread: Bool {
    model.team == nil && whole.allSatisfy { $0.linearization.suitsOneThread }
  }

  /// Some of the group's Jacobians. Those that have been in a batch `withOthers` are computed as they were there.
  private func linearization(
    of members: [Int], withOthers: Bool = false
  ) -> Linearization<Scalar> {
    residualJacobian(
      model, at: point, members.map { (group.jacobians[$0].prompt, group.jacobians[$0].tokens) },
      site: resolved.site, normed: layer == resolved.normedLayer, fusesLinearMaps: !withOthers)
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

  /// Solves the batches of all these blocks, one per thread if they suit that; what fails is thrown by `solved`. Threads that have
  /// no more to solve do the work `beside` it.
  static func solve(_ blocks: [BlockSolve], beside work: [() -> Void] = []) {
    let start = monotonicSeconds()
    let batches = blocks.indices.flatMap { b in (0..<blocks[b].count).map { (block: b, batch: $0) }
    }
    let isDivided = blocks.allSatisfy(\.suitsOneThread)
    // Beyond these, others need the memory.
    let kept = isDivided ? Engine.currentThreads : 1
    var results = [Result<SolvedBatch, any Error>?](repeating: nil, count: batches.count)
    results.withUnsafeMutableBufferPointer { results in
      nonisolated(unsafe) let (results, blocks, work) = (results, blocks, work)
      let solveOrWork = { @Sendable (i: Int) in
        guard i < batches.count else { return work[i - batches.count]() }
        let (block, batch) = batches[i]
        results[i] = Result { try blocks[block].solve(batch) }
        if batches.count > kept { blocks[block].whole[batch].linearization.releaseWorkspace() }
        // The triplets that stay lie between what was freed.
        if i % 8 == 7 { returnFreedMemory() }
      }
      if work.isEmpty {
        Engine.forEach(batches.count, isDivided: isDivided, solveOrWork)
      } else {
        Engine.forEach(batches.count + work.count, solveOrWork)
      }
    }
    // Only samples in single precision have fused maps then, and the next solves need the memory.
    if Scalar.self == Double.self { freeSpareMaps() }
    let jacobians = blocks.reduce(0) { $0 + $1.whole.reduce(0) { $0 + $1.members.count } }
    let seconds = (monotonicSeconds() - start) / Double(max(1, jacobians))
    var rest = results[...]
    for block in blocks {
      block.found = (rest.prefix(block.count).map { $0! }, seconds)
      rest = rest.dropFirst(block.count)
    }
  }

  /// The triplets of all Jacobians, and the noise of their operators; solves the batches if that has not been done. Throws
  /// `SolveFailure`.
  func solved() throws -> SolvedBlock {
    if found == nil { Self.solve([self]) }
    let start = monotonicSeconds()
    var triplets = [SingularTriplets?](repeating: nil, count: group.jacobians.count)
    var comparison: NoiseComparison?
    for (batch, result) in zip(whole, found!.batches) {
      let solved = try result.get()
      for (jacobian, found) in zip(batch.members, solved.triplets) { triplets[jacobian] = found }
      comparison = solved.comparison ?? comparison
    }
    var precisions = triplets.map { _ in ProductPrecision(of: Scalar.self) }
    var noise = MeasuredNoise()
    noise.sample = place.flatMap { $0.isCut ? nil : $0.jacobian }
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
        if i % 8 == 7 { returnFreedMemory() }
        precisions[jacobian] = .double
      }
      if !refined.isEmpty { noise.double = comparison?.ofPoint() }
    }
    let count = whole.reduce(0) { $0 + $1.members.count }
    return SolvedBlock(
      triplets: triplets.map { $0?.kept },
      seconds: found!.seconds + (monotonicSeconds() - start) / Double(count),
      precisions: precisions, noise: noise)
  }

  /// The triplets of one batch, compared with the sample's if its Jacobian is among them. Throws `SolveFailure`.
  private func solve(_ i: Int) throws -> SolvedBatch {
    let (members, linearization) = whole[i]
    let solver = resolved.solver.solver(
      tolerance: resolved.tolerance, seed: resolved.seed, blockSize: resolved.blockSize,
      certify: resolved.certify)
    let jacobian = divided(
      BatchedJacobian(linearization) {
        self.linearization(of: $0.map { members[$0] }, withOthers: true)
      },
      over: model.team)
    let row = place.flatMap { members.firstIndex(of: $0.jacobian) }
    let triplets: [SingularTriplets]
    let products: TripletProducts?
    do {
      let found = try solver.partialSVDs(
        of: isStopped.map { CancellableBatch(jacobian, isCancelled: $0) } ?? jacobian,
        count: resolved.top)
      (triplets, products) = (found.map(\.moved), row.flatMap { found[$0].products })
    } catch let failure as MemberError {
      throw SolveFailure(jacobian: members[failure.member], error: failure.error)
    }
    let step = image.map { linearization.rows.step(at: $0, members) }
    guard let place, let row else {
      return SolvedBatch(triplets: triplets, comparison: nil, step: step)
    }
    // The Jacobian of a truncated prompt, which is not among the solved ones, may need a fused map of its own.
    if place.isCut { linearization.releaseWorkspace() }
    return SolvedBatch(
      triplets: triplets,
      comparison: place.comparison(
        linearization.rows.member(row), triplets[row], products, resolved, layer: layer),
      step: step)
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
    for (i, (members, linearization)) in whole.enumerated() {
      let rest =
        Scalar.self == Double.self ? members : members.filter { precisions[$0] == .single }
      if rest.count == members.count {
        let step = try? found?.batches[i].get().step
        batches.append(JacobianBatch(members, linearization, step: step))
      } else {
        if !rest.isEmpty {
          batches.append(JacobianBatch(rest, self.linearization(of: rest, withOthers: true)))
        }
        batches += members.filter { precisions[$0] == .double }
          .map { JacobianBatch([$0], preciseJacobian($0)) }
      }
    }
    return batches
  }
}

extension Linearization {
  /// Whether one thread computes with it while others compute with other Jacobians: a single one with small maps, since what lies
  /// between its products then takes much of the time.
  var suitsOneThread: Bool {
    inputShape.rows == 1 && (isFused ? fusedBytes : weightBytes) <= 1 << 25
  }
}

extension ProductPrecision {
  fileprivate init<Scalar: RealScalar>(of scalar: Scalar.Type) {
    self = Scalar.self == Double.self ? .double : .single
  }
}
