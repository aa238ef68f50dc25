import Autodiff
import Foundation
import LinearAlgebra
import Testing

@testable import Model

/// Single precision compared with double, for models with large numbers that do not affect the result.
@Suite struct PrecisionTests {
  /// With key biases of a few hundred, as in the first blocks of Qwen2.5, J v and Jᵀ u in single precision stay
  /// accurate.
  ///
  /// The bound is like that of AttentionPrecisionTests, over a whole block: about a hundred rounding errors of 6·10⁻⁸
  /// that mostly cancel, 4·10⁻⁶ σ₁. With the bias in every product it would be 10⁻⁴ and more.
  @Test(arguments: [0, 300] as [Float], [JacobianSite.block, .attention])
  func keyBiases(size: Float, site: JacobianSite) throws {
    let model = try Self.biased(size)
    let prompts = [[3, 7, 11, 2, 30, 5, 8], [9, 1, 4]]
    let (single, double) = (
      try Path<Float>(of: prompts, through: model), try Path<Double>(of: prompts, through: model)
    )
    // The first block, whose input is the same in both precisions.
    for tokens in [TokenSelection(6), TokenSelection(source: 2, target: 6)] {
      let a = residualJacobian(model, at: single.points[0], [(0, tokens)], site: site)
      let exact = residualJacobian(model, at: double.points[0], [(0, tokens)], site: site)
        .materialized()
      let largest = try exact.singularValueDecomposition().values[0]
      let difference = { (m: Matrix<Double>) in
        try (m - exact).singularValueDecomposition().values[0]
      }
      #expect(try difference(a.materialized()) <= 4e-6 * largest, "J, \(tokens)")
      #expect(
        try difference(a.adjoint.materialized().transposed) <= 4e-6 * largest, "Jᵀ, \(tokens)")
    }
  }

  /// Other prompts in the batch change nothing.
  @Test func companionsDoNotMatter() throws {
    let model = try Self.biased(300)
    let (prompt, other) = ([3, 7, 11, 2, 30, 5, 8], [9, 1, 4])
    let alone = try Path<Float>(of: [prompt], through: model)
    let together = try Path<Float>(of: [other, prompt, other], through: model)
    for l in alone.points.indices {
      let (one, many) = (
        residualJacobian(model, at: alone.points[l], [(0, TokenSelection(6))]),
        residualJacobian(model, at: together.points[l], [(1, TokenSelection(6))])
      )
      #expect(one.value == many.value)
      #expect(one.materialized() == many.materialized())
    }
  }

  /// The final norm can only follow a whole block.
  @Test(arguments: [JacobianSite.attention, .mlp]) func normedHalves(site: JacobianSite) async {
    if site == .attention {
      await #expect(processExitsWith: .failure) { try Self.normed(.attention) }
    } else {
      await #expect(processExitsWith: .failure) { try Self.normed(.mlp) }
    }
  }

  private static func normed(_ site: JacobianSite) throws {
    let model = try biased(0)
    let path = try Path<Float>(of: [[1, 2]], through: model)
    _ = residualJacobian(
      model, at: path.points[0], [(0, TokenSelection(1))], site: site, normed: true)
  }

  /// Qwen2's fixture with key biases of this size in the two slowest of the five pairs of features, which rotate
  /// little: by 0.004 and 0.0006 per token, as in the models that have such biases.
  private static func biased(_ size: Float) throws -> any Transformer {
    var draft = try Draft(of: "qwen2")
    for name in draft.tensors.map(\.entry.name) where name.hasSuffix("k_proj.bias") && size > 0 {
      try draft.alter(name) { _, numbers in
        for i in [3, 4, 8, 9] { numbers[i] += i % 2 == 0 ? size : -size }
      }
    }
    return try draft.load()
  }
}
