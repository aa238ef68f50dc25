import Alignment
import Autodiff
import LinearAlgebra
import Model

/// The second pass, backwards over the blocks: every Jacobian applied to the bases of those it is compared with, exactly.
///
/// A(i|j) = Uⱼᵀ Jᵢ Vⱼ takes K products Jᵢ v a pair, the crossed form as many Jᵢ u: across depth 2 L K vectors through each
/// block, which is wide enough for products at the speed of arithmetic. Jᵢ is never replaced by its own triplets. A few
/// probes more estimate ‖Jᵢ‖_F. Backwards, because the last blocks' weights are the likeliest still in memory.
enum CouplingPass {
  /// Probes of ‖J‖_F's tail. The tail's relative error is about (2 / probes)^½ over the root of its stable rank.
  private static let probes = 16
  /// Vectors that travel together, all problems': as many as one product takes at once, few enough for the cache.
  static let width = 128

  /// Vectors of each row in one product.
  static func slice(rows: Int) -> Int { max(8, width / rows) }

  /// Vectors of each row in one product of so many: slices of one size, as far as the kernels' registers are filled, which
  /// take 16 vectors of all rows together.
  static func evenSlice(of vectors: Int, rows: Int) -> Int {
    let slice = slice(rows: rows)
    let parts = (vectors + slice - 1) / slice
    let unit = 16 / gcd(16, rows)
    let least = (vectors + parts - 1) / parts
    let filled = (least + unit - 1) / unit * unit
    return filled <= slice ? filled : least
  }

  /// Bases taken at once: together they fill whole products, as long as their images are not too many to hold.
  static func chunk(rows: Int, rank k: Int) -> Int {
    let vectors = slice(rows: rows)
    return max(1, min(vectors / gcd(vectors, k), 1024 / (rows * k)))
  }

  /// Runs the pass into the journal; `step` hears of every block that is done, whether it was new, and may throw.
  static func run(
    _ model: some Transformer, _ forward: SolvePass, _ group: PromptGroup, plan: SolvePlan,
    journal: any RunJournal, step: (_ blocks: Int, _ isNew: Bool) throws -> Void
  ) throws {
    var survivors = forward.survivors
    for (done, i) in plan.layers.indices.reversed().enumerated() {
      let layer = plan.layers[i]
      if let batches = forward.jacobians[i], !survivors.coupled(layer: layer).isEmpty {
        if i > 0 { model.advise(.willNeed, block: plan.layers[i - 1] - 1) }
        var found = [JacobianCouplings?](repeating: nil, count: group.problems.count)
        for batch in batches {
          let triplets = { (problem: Int, block: Int) in
            forward.solved[block]!.triplets[problem]!
          }
          let isCoupled = batch.members.map {
            survivors.isCoupled(prompt: group.problems[$0].prompt, layer: layer)
          }
          // The rows of prompts that have failed stay, fed with zeros.
          let rows = JacobianRows(
            jacobian: batch.linearization, own: batch.members.map { triplets($0, i) },
            bases: zip(batch.members, isCoupled).map { problem, isCoupled in
              guard isCoupled else { return [] }
              return peers(of: problem, atBlock: i, group, plan).map {
                triplets($0.problem, $0.block)
              }
            })
          let couplings = rows.couplings(rank: plan.ranks.max()!, seed: plan.seed)
          for (r, problem) in batch.members.enumerated() where isCoupled[r] {
            let (prompt, tokens) = (group.problems[problem].prompt, group.problems[problem].tokens)
            guard couplings[r].isFinite else {
              try survivors.lose(
                prompt,
                LostPrompt(
                  .coupling, layer: layer, tokens,
                  reason: "a product of its Jacobian with another one's vectors is not finite; the "
                    + "model overflows single precision on this prompt"))
              continue
            }
            found[problem] = couplings[r]
          }
          batch.linearization.releaseWorkspace()
        }
        for problem in group.problems.indices
        where !survivors.isCoupled(prompt: group.problems[problem].prompt, layer: layer) {
          found[problem] = nil
        }
        try journal.keep(found, group, layer: layer)
        model.advise(.dontNeed, block: layer - 1)
      }
      try step(done + 1, forward.jacobians[i] != nil)
    }
  }

  /// The Jacobians in whose bases one is seen: across depth those of its tokens at all blocks, else those of its prompt
  /// at the basis block. In the order of the blocks, or of the token that varies.
  private static func peers(
    of problem: Int, atBlock i: Int, _ group: PromptGroup, _ plan: SolvePlan
  ) -> [(block: Int, problem: Int)] {
    if plan.kind == .depth { return plan.layers.indices.map { ($0, problem) } }
    return group.problems(ofPrompt: group.problems[problem].prompt).map { (plan.basis ?? i, $0) }
  }

  /// The rows of one linearization, and the bases that each is to be seen in.
  private struct JacobianRows {
    let jacobian: Linearization<Float>
    /// One a row.
    let own: [SingularTriplets]
    let bases: [[SingularTriplets]]

    /// Rows of different numbers of bases go together; the shorter ones are fed zeros at the end.
    func couplings(rank k: Int, seed: UInt64) -> [JacobianCouplings] {
      let norms = frobeniusNorms(seed: seed)
      let values = own.map { Array($0.singularValues.prefix(k)) }
      var result = norms.map { JacobianCouplings(same: [], crossed: [], frobeniusNorm: $0) }
      for form in CouplingForm.allCases {
        let most = bases.map(\.count).max() ?? 0
        for first in stride(from: 0, to: most, by: chunk(rank: k)) {
          let end = min(first + chunk(rank: k), most)
          let inputs = bases.map { bases in
            (first..<end).flatMap { j in
              j < bases.count
                ? bases[j].vectors(into: form).prefix(k).elements
                : [Double](repeating: 0, count: k * jacobian.inputShape.columns)
            }
          }
          let images = images(of: inputs, vectors: (end - first) * k)
          for r in own.indices where first < bases[r].count {
            for j in first..<min(end, bases[r].count) {
              let m = k * jacobian.outputShape.columns
              let image = Matrix(
                rows: k, columns: jacobian.outputShape.columns,
                elements: Array(images[r][(j - first) * m..<(j - first + 1) * m]))
              let coupling = BlockCoupling(
                form: form, images: image, basis: bases[r][j].vectors(outOf: form).prefix(k),
                singularValues: values[r])
              if form == .same {
                result[r].same.append(coupling)
              } else {
                result[r].crossed.append(coupling)
              }
            }
          }
        }
      }
      return result
    }

    private func chunk(rank k: Int) -> Int { CouplingPass.chunk(rows: own.count, rank: k) }

    /// J of every row applied to that row's vectors.
    private func images(of inputs: [[Double]], vectors: Int) -> [[Double]] {
      let (n, m) = (jacobian.inputShape.columns, jacobian.outputShape.columns)
      var images = inputs.map { _ in [Double]() }
      for r in images.indices { images[r].reserveCapacity(vectors * m) }
      let even = CouplingPass.evenSlice(of: vectors, rows: own.count)
      for start in stride(from: 0, to: vectors, by: even) {
        let b = min(even, vectors - start)
        let input = inputs.flatMap { $0[start * n..<(start + b) * n] }  // (rows, b, n)
        var output = [Double](repeating: 0, count: inputs.count * b * m)
        var span = output.mutableSpan
        jacobian.applyRows(input.span, into: &span, vectors: b)
        for r in images.indices { images[r] += output[r * b * m..<(r + 1) * b * m] }
      }
      return images
    }

    /// ‖J‖_F of every row: exact from all singular values, else by random signs, V projected out.
    private func frobeniusNorms(seed: UInt64) -> [FrobeniusNorm] {
      let n = jacobian.inputShape.columns
      if own[0].singularValues.count == n {
        return own.map { FrobeniusNorm(allSingularValues: $0.singularValues) }
      }
      var generator = SeededGenerator(seed: seed)
      let inputs = own.map { t -> [Double] in
        let z = Matrix(
          rows: probes, columns: n,
          elements: (0..<probes * n).map { _ in generator.next() & 1 == 0 ? 1.0 : -1.0 })
        // z − (z Vᵀ) V, row by row.
        let components = Matrix.product(z, .none, t.rightVectors, .transposed)
        return (z - Matrix.product(components, .none, t.rightVectors)).elements
      }
      let m = jacobian.outputShape.columns
      return zip(own, images(of: inputs, vectors: probes)).map { t, image in
        let squares = (0..<probes).map { z in
          image[z * m..<(z + 1) * m].reduce(0) { $0 + $1 * $1 }
        }
        return FrobeniusNorm(singularValues: t.singularValues, squaredProbeNorms: squares)
      }
    }
  }
}

/// One Jacobian in the bases of those it is compared with.
struct JacobianCouplings: Sendable {
  /// A(i|j), one a basis.
  var same: [BlockCoupling]
  /// B(i|j), one a basis.
  var crossed: [BlockCoupling]
  /// ‖Jᵢ‖_F.
  let frobeniusNorm: FrobeniusNorm

  /// Whether all numbers are.
  fileprivate var isFinite: Bool {
    (same + crossed).allSatisfy { $0.matrix.elements.allSatisfy(\.isFinite) }
      && frobeniusNorm.value.isFinite
  }
}

extension SingularTriplets {
  /// What J is applied to in this form.
  fileprivate func vectors(into form: CouplingForm) -> Matrix<Double> {
    form == .same ? rightVectors : leftVectors
  }

  /// What the image is compared with.
  fileprivate func vectors(outOf form: CouplingForm) -> Matrix<Double> {
    form == .same ? leftVectors : rightVectors
  }
}

private func gcd(_ a: Int, _ b: Int) -> Int { b == 0 ? a : gcd(b, a % b) }
