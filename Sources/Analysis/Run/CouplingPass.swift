import Alignment
import Autodiff
import LinearAlgebra
import Model
import Weights

/// The second pass, backwards over the blocks: applies every Jacobian exactly to the bases of those it is compared with.
///
/// A(i|j) = Uⱼᵀ Jᵢ Vⱼ takes K products Jᵢ v per pair, and the crossed form K products Jᵢ u: across depth L K vectors per form and
/// block, which is wide enough for products to be limited by arithmetic. Jᵢ is never replaced by its own triplets. A few more
/// probes estimate ‖Jᵢ‖_F. The pass goes backwards because the weights of the last blocks are the most likely to be in memory.
enum CouplingPass {
  /// Probes of ‖J‖_F's tail. The tail's relative error is about (2 / probes)^½ over the root of its stable rank.
  static let probes = 16
  /// Vectors of all rows that are applied together: as many as one product takes at once, few enough for the cache.
  ///
  /// This is more than `Engine.independentVectors`, so the number applied together shows in the last bits. It therefore depends
  /// on the settings only, and a row that has failed keeps its place.
  static let width = Engine.vectorsAtOnce

  /// Vectors of each row in one product.
  static func slice(rows: Int) -> Int { max(8, width / rows) }

  /// Vectors of each row in one product, when there are `vectors` of them: slices of equal size that fill the kernels'
  /// registers, which take 16 vectors of all rows together.
  static func evenSlice(of vectors: Int, rows: Int) -> Int {
    let slice = slice(rows: rows)
    let parts = (vectors + slice - 1) / slice
    let unit = 16 / gcd(16, rows)
    let least = (vectors + parts - 1) / parts
    let filled = (least + unit - 1) / unit * unit
    return filled <= slice ? filled : least
  }

  /// The number of bases applied together: enough to fill whole products, unless there are too many images to hold.
  static func chunk(rows: Int, rank k: Int) -> Int {
    let vectors = slice(rows: rows)
    return max(1, min(vectors / gcd(vectors, k), 1024 / (rows * k)))
  }

  /// Runs the pass over the blocks of this team and keeps the results in the journal; `step` is called after each, with whether
  /// it was new, and may throw. Returns the survivors.
  static func run(
    _ model: some Transformer, _ forward: SolvePass, _ group: PromptGroup, _ share: GroupShare,
    resolved: ResolvedSettings,
    journal: any RunJournal, reader: BlockReader? = nil, step: (_ isNew: Bool) throws -> Void
  ) throws -> GroupSurvivors {
    let reader = reader ?? BlockReader(model)
    var survivors = forward.survivors
    let own = resolved.layers.indices.reversed().filter {
      share.isOwn(layer: resolved.layers[$0])
    }
    var stretch: [ReachedBlock] = []
    for (n, i) in own.enumerated() {
      let layer = resolved.layers[i]
      var reached = ReachedBlock(place: i, layer: layer)
      if let batches = forward.jacobians[i], !survivors.coupled(layer: layer).isEmpty {
        let next = forward.jacobians[..<i].lastIndex { $0 != nil }
        try reader.enter(.block(layer - 1), next: next.map { .block(resolved.layers[$0] - 1) })
        reached.work = batches.map { batch in
          BatchCoupling(
            batch, at: i, forward, group, survivors, resolved, isStopped: share.isStopped)
        }
      }
      stretch.append(reached)
      let work = stretch.flatMap(\.work)
      let isDivided =
        model.team == nil
        && stretch.allSatisfy { !$0.work.isEmpty && $0.work.allSatisfy(\.batch.suitsOneThread) }
      let batches = isDivided && !share.isShared ? stretch[0].work.count : nil
      if n + 1 < own.count, stretch.count < SolvePass.blocksTogether(batches, resolved) { continue }

      nonisolated(unsafe) let shared = work
      Engine.forEach(work.count, isDivided: isDivided) { shared[$0].run() }
      for reached in stretch where !reached.work.isEmpty {
        try keep(reached, group, share, &survivors, journal)
        reader.leave(.block(reached.layer - 1))
      }
      for reached in stretch { try step(forward.jacobians[reached.place] != nil) }
      stretch = []
    }
    return survivors
  }

  /// A block that the pass has reached, as a position among the linearized ones and from 1, with the couplings of its batches.
  private struct ReachedBlock {
    let place: Int
    let layer: Int
    var work: [BatchCoupling] = []
  }

  /// Keeps what was found at a block, without the prompts that failed there or before.
  private static func keep(
    _ block: ReachedBlock, _ group: PromptGroup, _ share: GroupShare,
    _ survivors: inout GroupSurvivors, _ journal: any RunJournal
  ) throws {
    var found = [JacobianCouplings?](repeating: nil, count: group.jacobians.count)
    for work in block.work {
      if !work.failed.isEmpty { try share.checkStop() }
      for jacobian in work.failed.map({ group.jacobians[$0] }) {
        try survivors.lose(
          jacobian.prompt,
          LostPrompt(
            .coupling, layer: block.layer, jacobian.tokens,
            reason: "a product of its Jacobian with another one's vectors is not finite; the "
              + "model overflows single precision on this prompt"))
      }
      for (jacobian, coupling) in zip(work.batch.members, work.found) { found[jacobian] = coupling }
    }
    for jacobian in group.jacobians.indices
    where !survivors.isCoupled(prompt: group.jacobians[jacobian].prompt, layer: block.layer) {
      found[jacobian] = nil
    }
    try journal.keep(found, group, layer: block.layer)
  }

  /// The couplings of the Jacobians of one batch.
  private final class BatchCoupling {
    let batch: JacobianBatch
    /// Makes the rows: the bases of all batches together may take more than their vectors.
    private let rows: () -> JacobianRows
    private let group: PromptGroup
    private let resolved: ResolvedSettings
    /// The rows whose prompts have not failed; the others stay inactive.
    private var active: [Int]
    /// What was found for each row, after `run`.
    private(set) var found: [JacobianCouplings?] = []
    /// The Jacobians with products that are not finite, counted within the group.
    private(set) var failed: [Int] = []

    /// The batch of the linearized block at position `i`.
    init(
      _ batch: JacobianBatch, at i: Int, _ forward: SolvePass, _ group: PromptGroup,
      _ survivors: GroupSurvivors, _ resolved: ResolvedSettings, isStopped: (() -> Bool)?
    ) {
      let triplets = { (jacobian: Int, block: Int) in forward.solved[block]!.triplets[jacobian]! }
      let isCoupled = batch.members.map {
        survivors.isCoupled(prompt: group.jacobians[$0].prompt, layer: resolved.layers[i])
      }
      (self.batch, self.group, self.resolved) = (batch, group, resolved)
      rows = {
        JacobianRows(
          jacobian: CheckedOperator(
            isStopped.map { CancellableBatch(batch.rows, isCancelled: $0) } ?? batch.rows),
          own: batch.members.map { triplets($0, i) },
          bases: zip(batch.members, isCoupled).map { jacobian, isCoupled in
            guard isCoupled else { return [] }
            return peers(of: jacobian, atBlock: i, group, resolved).map {
              triplets($0.jacobian, $0.block)
            }
          })
      }
      active = batch.members.indices.filter { isCoupled[$0] }
    }

    /// Computes the couplings of the active rows, without those of prompts that turn out to fail.
    func run() {
      defer { batch.releaseWorkspace() }
      let rows = rows()
      while true {
        do {
          found = try rows.couplings(
            of: active, forms: resolved.forms, rank: resolved.ranks.max()!, seed: resolved.seed)
          return
        } catch {
          let jacobian = batch.members[error.member]
          failed.append(jacobian)
          active.removeAll {
            group.jacobians[batch.members[$0]].prompt == group.jacobians[jacobian].prompt
          }
        }
      }
    }
  }

  /// The Jacobians whose bases one is applied to: across depth those of its tokens at all blocks, otherwise those of its
  /// prompt at the basis block. They are in the order of the blocks, or of the token that varies.
  private static func peers(
    of jacobian: Int, atBlock i: Int, _ group: PromptGroup, _ resolved: ResolvedSettings
  ) -> [(block: Int, jacobian: Int)] {
    if resolved.kind == .depth { return resolved.layers.indices.map { ($0, jacobian) } }
    return group.jacobians(ofPrompt: group.jacobians[jacobian].prompt).map {
      (resolved.basis ?? i, $0)
    }
  }

  /// The rows of one linearization, and the bases that each is applied to.
  private struct JacobianRows {
    let jacobian: CheckedOperator
    /// One per row.
    let own: [SingularTriplets]
    let bases: [[SingularTriplets]]

    /// The couplings of the active rows; nil for the others. Rows may have different numbers of bases.
    func couplings(
      of active: [Int], forms: [CouplingForm], rank k: Int, seed: UInt64
    ) throws(OperatorError) -> [JacobianCouplings?] {
      var found = own.map { _ in [CouplingForm: [BlockCoupling]]() }
      var norms = own.map(FrobeniusNorm.init(known:))
      // They share a product with the first bases: on their own they are too few for products to be limited by arithmetic.
      var probes: [Matrix<Double>]? = norms.contains { $0 == nil } ? probes(seed: seed) : nil
      let most = active.map { bases[$0].count }.max() ?? 0
      let chunk = CouplingPass.chunk(rows: own.count, rank: k)
      for form in forms {
        for first in stride(from: 0, to: most, by: chunk) {
          let rows = active.filter { probes != nil || first < bases[$0].count }
          let together = { (r: Int) in bases[r].dropFirst(first).prefix(chunk) }
          let inputs = rows.map { r in
            let vectors = together(r).flatMap { $0.vectors(into: form).prefix(k).elements }
            let probes = probes?[r].elements ?? []
            return Matrix(
              rows: (probes.count + vectors.count) / jacobian.inputDimension,
              columns: jacobian.inputDimension, elements: probes + vectors)
          }
          let images = try images(of: inputs, rows: rows)
          for (r, images) in zip(rows, images) {
            let probed = probes?[r].rows ?? 0
            if probed > 0 {
              norms[r] = FrobeniusNorm(
                singularValues: own[r].singularValues,
                squaredProbeNorms: (0..<probed).map { images.row($0).reduce(0) { $0 + $1 * $1 } })
            }
            for (j, basis) in together(r).enumerated() {
              let coupling = BlockCoupling(
                form: form, images: images.rows(probed + j * k..<probed + (j + 1) * k),
                basis: basis.vectors(outOf: form).prefix(k),
                singularValues: Array(own[r].singularValues.prefix(k)))
              found[r][form, default: []].append(coupling)
            }
          }
          probes = nil
        }
      }
      return own.indices.map { r in
        guard active.contains(r), let norm = norms[r] else { return nil }
        return JacobianCouplings(forms: found[r], frobeniusNorm: norm)
      }
    }

    /// Applies the Jacobian of each row to that row's vectors.
    private func images(
      of blocks: [Matrix<Double>], rows: [Int]
    ) throws(OperatorError) -> [Matrix<Double>] {
      guard let vectors = blocks.map(\.rows).max() else { return [] }
      return try jacobian.products(
        .forward, of: blocks, active: rows,
        width: CouplingPass.evenSlice(of: vectors, rows: own.count))
    }

    /// For each row, the vectors whose images estimate ‖J‖_F: random signs with V projected out.
    private func probes(seed: UInt64) -> [Matrix<Double>] {
      var generator = SeededGenerator(seed: seed)
      let n = jacobian.inputDimension
      return own.map { t in
        let z = Matrix(
          rows: CouplingPass.probes, columns: n,
          elements: (0..<CouplingPass.probes * n).map { _ in
            generator.next() & 1 == 0 ? 1.0 : -1.0
          })
        // z − (z Vᵀ) V, row by row.
        let components = Matrix.product(z, .none, t.rightVectors, .transposed)
        return z - Matrix.product(components, .none, t.rightVectors)
      }
    }
  }
}

extension FrobeniusNorm {
  /// The norm if all singular values are known; nil if not.
  fileprivate init?(known triplets: SingularTriplets) {
    guard triplets.singularValues.count == triplets.rightVectors.columns else { return nil }
    self.init(allSingularValues: triplets.singularValues)
  }
}

/// One Jacobian's couplings with those it is compared with.
struct JacobianCouplings: Sendable {
  /// A(i|j) and B(i|j), whichever are computed, one per basis.
  var forms: [CouplingForm: [BlockCoupling]]
  /// ‖Jᵢ‖_F.
  let frobeniusNorm: FrobeniusNorm

  /// The couplings of the form `same` if it is computed, otherwise of the other form.
  var any: [BlockCoupling] { forms[.same] ?? forms[.crossed] ?? [] }
}

extension SingularTriplets {
  /// The vectors that J is applied to in this form.
  fileprivate func vectors(into form: CouplingForm) -> Matrix<Double> {
    form == .same ? rightVectors : leftVectors
  }

  /// The vectors that the images are compared with in this form.
  fileprivate func vectors(outOf form: CouplingForm) -> Matrix<Double> {
    form == .same ? leftVectors : rightVectors
  }
}

private func gcd(_ a: Int, _ b: Int) -> Int { b == 0 ? a : gcd(b, a % b) }
