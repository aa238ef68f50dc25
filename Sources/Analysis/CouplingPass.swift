import Alignment
import Autodiff
import LinearAlgebra
import Model

/// The second pass, backwards over the blocks: every Jacobian applied to the bases of all others, exactly.
///
/// A(i|j) = Uⱼᵀ Jᵢ Vⱼ takes K products Jᵢ v a pair, the crossed form as many Jᵢ u: 2 L K vectors through each block, which
/// is wide enough for products at the speed of arithmetic. Jᵢ is never replaced by its own triplets. A few probes more
/// estimate ‖Jᵢ‖_F.
/// Backwards, because the last blocks' weights are the likeliest still in memory.
struct CouplingPass {
  /// For every prompt: Jacobian i in the basis of j, at the largest rank; i and j run over the linearized blocks.
  private(set) var same: [[[BlockCoupling]]]
  private(set) var crossed: [[[BlockCoupling]]]
  /// For every prompt and block.
  private(set) var frobeniusNorms: [[FrobeniusNorm]]

  /// Probes of ‖J‖_F's tail. The tail's relative error is about (2 / probes)^½ over the root of its stable rank.
  private static let probes = 16
  /// Vectors that travel together, all prompts': as many as one product takes at once, few enough for the cache.
  static let width = 128

  /// Runs the pass; `step` hears of every block that is done and may throw.
  init(
    _ model: some Transformer, _ forward: SolvePass, plan: SolvePlan, step: (Int) throws -> Void
  ) throws {
    let (prompts, blocks) = (forward.triplets[0].count, forward.triplets.count)
    let k = plan.ranks.max()!
    let empty = Array(
      repeating: Array(repeating: [BlockCoupling](), count: blocks), count: prompts)
    (same, crossed) = (empty, empty)
    frobeniusNorms = Array(
      repeating: Array(repeating: FrobeniusNorm(allSingularValues: []), count: blocks),
      count: prompts)
    // For every prompt the right vectors of all blocks, then the left ones: (2 · blocks · k, d).
    let bases = (0..<prompts).map { p in
      forward.triplets.flatMap { $0[p].rightVectors.prefix(k).elements }
        + forward.triplets.flatMap { $0[p].leftVectors.prefix(k).elements }
    }
    for (done, i) in (0..<blocks).reversed().enumerated() {
      if i > 0 { model.advise(.willNeed, block: plan.layers[i - 1] - 1) }
      let jacobian = forward.jacobians[i]
      let images = Self.images(of: jacobian, bases, vectors: 2 * blocks * k)
      for p in 0..<prompts {
        let d = jacobian.outputShape.columns
        let values = Array(forward.triplets[i][p].singularValues.prefix(k))
        let image = { (vector: Int) in
          Matrix(
            rows: k, columns: d, elements: Array(images[p][vector * d..<(vector + k) * d]))
        }
        same[p][i] = (0..<blocks).map { j in
          BlockCoupling(
            form: .same, images: image(j * k),
            basis: forward.triplets[j][p].leftVectors.prefix(k), singularValues: values)
        }
        crossed[p][i] = (0..<blocks).map { j in
          BlockCoupling(
            form: .crossed, images: image((blocks + j) * k),
            basis: forward.triplets[j][p].rightVectors.prefix(k), singularValues: values)
        }
      }
      let norms = Self.frobeniusNorms(of: jacobian, forward.triplets[i], seed: plan.seed)
      for p in 0..<prompts { frobeniusNorms[p][i] = norms[p] }
      jacobian.releaseWorkspace()
      model.advise(.dontNeed, block: plan.layers[i] - 1)
      try step(done + 1)
    }
  }

  /// J of every prompt applied to that prompt's vectors.
  private static func images(
    of jacobian: Linearization<Float>, _ inputs: [[Double]], vectors: Int
  ) -> [[Double]] {
    let (n, m) = (jacobian.inputShape.columns, jacobian.outputShape.columns)
    let prompts = inputs.count
    let chunk = max(8, width / prompts)
    var images = inputs.map { _ in [Double]() }
    for p in images.indices { images[p].reserveCapacity(vectors * m) }
    for start in stride(from: 0, to: vectors, by: chunk) {
      let b = min(chunk, vectors - start)
      let input = inputs.flatMap { $0[start * n..<(start + b) * n] }  // (prompts, b, n)
      var output = [Double](repeating: 0, count: prompts * b * m)
      var span = output.mutableSpan
      jacobian.applyRows(input.span, into: &span, vectors: b)
      for p in images.indices { images[p] += output[p * b * m..<(p + 1) * b * m] }
    }
    return images
  }

  /// ‖J‖_F of every prompt: exact from all singular values, else by random signs, V projected out.
  private static func frobeniusNorms(
    of jacobian: Linearization<Float>, _ triplets: [SingularTriplets], seed: UInt64
  ) -> [FrobeniusNorm] {
    let n = jacobian.inputShape.columns
    if triplets[0].singularValues.count == n {
      return triplets.map { FrobeniusNorm(allSingularValues: $0.singularValues) }
    }
    var generator = SeededGenerator(seed: seed)
    let inputs = triplets.map { t -> [Double] in
      let z = Matrix(
        rows: probes, columns: n,
        elements: (0..<probes * n).map { _ in generator.next() & 1 == 0 ? 1.0 : -1.0 })
      // z − (z Vᵀ) V, row by row.
      let components = Matrix.product(z, .none, t.rightVectors, .transposed)
      return (z - Matrix.product(components, .none, t.rightVectors)).elements
    }
    let m = jacobian.outputShape.columns
    return zip(triplets, images(of: jacobian, inputs, vectors: probes)).map { t, image in
      let squares = (0..<probes).map { z in
        image[z * m..<(z + 1) * m].reduce(0) { $0 + $1 * $1 }
      }
      return FrobeniusNorm(singularValues: t.singularValues, squaredProbeNorms: squares)
    }
  }
}
