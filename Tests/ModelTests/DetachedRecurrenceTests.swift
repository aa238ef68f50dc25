import Autodiff
import LinearAlgebra
import Testing

@testable import Model

/// The factors that are held in mixers that are recurrences or convolutions.
@Suite struct DetachedRecurrenceTests {
  private static let fixtures = [
    "mamba", "mamba-odd", "mamba2", "mamba2-odd", "lfm2", "lfm2-odd", "lfm2_moe", "qwen3_next",
    "qwen3_next-odd", "qwen3_5", "qwen3_5-odd", "falcon_h1", "falcon_h1-normed", "falcon_h1-odd",
    "nemotron_h", "nemotron_h-odd", "granitemoehybrid", "granitemoehybrid-odd",
  ].map { Fixture(name: $0, form: .folder) }

  /// A detached block without biases is linear in its input: J X = f(X), where X contains all tokens.
  ///
  /// Both sides round a few hundred sums in the same way.
  @Test(arguments: fixtures) func detachedIsHomogeneous(_ fixture: Fixture) throws {
    var draft = try Draft(of: fixture.name)
    // The biases of steps and of the choice of experts are part of what is held.
    for (entry, _) in draft.tensors
    where entry.name.hasSuffix("bias")
      && !["dt_", "correction"].contains(where: entry.name.contains)
    {
      try draft.alter(entry.name) { $1 = Array(repeating: 0, count: $1.count) }
    }
    let (model, expected) = (try draft.load(), try fixture.expected())
    let path = try Path<Double>(of: [expected.input], through: model)
    for layer in 0..<model.description.layers {
      var map = JacobianMap(
        fromLayer: layer, to: .layer(layer + 1), fromTokens: .all(), toTokens: .all())
      map.linearization = .detached
      let j = try linearize(map, of: [expected.input], in: model, as: Double.self)
      let x = path.states[layer][0]
      let product = j.apply(Matrix(rows: 1, columns: x.elements.count, elements: x.elements))
      expectClose(
        product.elements, (path.states[layer + 1][0] - x).elements, 1e-12,
        scale: largest(path.states[layer + 1][0].elements), "block \(layer)")
    }
  }
}
