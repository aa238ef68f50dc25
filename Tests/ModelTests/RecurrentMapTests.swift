import Autodiff
import LinearAlgebra
import Testing

@testable import Model

/// Maps between many tokens, through blocks whose mixers are recurrences and convolutions.
@Suite struct RecurrentMapTests {
  static let fixtures = [
    "mamba", "mamba-odd", "mamba2", "mamba2-odd", "lfm2", "lfm2-odd", "lfm2_moe", "qwen3_next",
    "qwen3_next-odd", "qwen3_5", "qwen3_5-odd", "falcon_h1", "falcon_h1-normed", "falcon_h1-odd",
    "nemotron_h", "nemotron_h-odd", "granitemoehybrid", "granitemoehybrid-odd",
  ].map { Fixture(name: $0, form: .folder) }

  /// The whole context of every block, the span of all blocks from some tokens to some and from the last to itself, and the
  /// whole context up to the final norm.
  private static func maps(_ layers: Int) -> [JacobianMap] {
    (0..<layers).map {
      JacobianMap(fromLayer: $0, to: .layer($0 + 1), fromTokens: .all(), toTokens: .all())
    } + [
      JacobianMap(
        fromLayer: 0, to: .layer(layers), fromTokens: .listed([1, 2, 4]),
        toTokens: .listed([0, 2, 3, -1])),
      JacobianMap(fromLayer: 0, to: .layer(layers)),
      JacobianMap(fromLayer: layers - 1, to: .finalNorm, fromTokens: .all(), toTokens: .all()),
    ]
  }

  /// J v against differences of the plain forward pass of the whole prompt, in a few random directions; Jᵀ against J.
  ///
  /// (8 (f(h) − f(−h)) − (f(2h) − f(−2h))) / 12 h with h = 3e-4: truncation is h⁴ |f⁗′| / 30 ≈ 3e-16 |f⁗′|, rounding
  /// 1.5 ε |f| / h ≈ 1e-12 |f|, and the fifth derivatives in a direction of unit length are some millions at most.
  @Test(arguments: fixtures) func finiteDifference(_ fixture: Fixture) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let path = try Path<Double>(of: [expected.input], through: model)
    var generator = SeededGenerator(seed: 3)
    for map in Self.maps(model.description.layers) {
      let resolved = try ResolvedMap(map, of: model.description, tokens: expected.last + 1)
      let j = try linearize(map, of: [expected.input], in: model, as: Double.self)
      var v = generator.normalMatrix(rows: 2, columns: j.inputDimension)
      v.elements = v.elements.map { $0 / Double(j.inputDimension).squareRoot() }
      let jv = j.apply(v)
      for i in 0..<v.rows {
        let at = { (step: Double) in
          var x = path.states[map.fromLayer][0]
          for (s, token) in resolved.fromTokens.enumerated() {
            for c in 0..<x.columns { x[token, c] += step * v[i, s * x.columns + c] }
          }
          let end = Self.evaluated(model, x, map.fromLayer..<resolved.lastBlock, path)
          let y = map.to == .finalNorm ? model.finalNorm(Variable(end)).value : end
          return resolved.toTokens.enumerated().flatMap { t, token in
            let row = Array(y.row(token))
            return resolved.subtractsIdentity ? zip(row, x.row(token)).map { $0 - $1 } : row
          }
        }
        let h = 3e-4
        let (a, b, c, d) = (at(h), at(-h), at(2 * h), at(-2 * h))
        let difference = a.indices.map { (8 * (a[$0] - b[$0]) - (c[$0] - d[$0])) / (12 * h) }
        expectClose(
          Array(jv.row(i)), difference, 1e-8, scale: max(largest(difference), largest(a)), "\(map)")
      }
      let u = generator.normalMatrix(rows: 2, columns: j.outputDimension)
      let jtu = j.applyAdjoint(u)
      expectClose(
        Matrix.product(u, .none, jv, .transposed).elements,
        Matrix.product(jtu, .none, v, .transposed).elements, 1e3 * Double.ulpOfOne,
        scale: u.frobeniusNorm * jv.frobeniusNorm + jtu.frobeniusNorm * v.frobeniusNorm, "\(map)")
    }
  }

  /// The blocks run one after another on a whole sequence.
  private static func evaluated(
    _ model: any Transformer, _ x: Matrix<Double>, _ blocks: Range<Int>, _ path: Path<Double>
  ) -> Matrix<Double> {
    blocks.reduce(x) { x, layer in
      let update = sequenceUpdate(
        model, at: path.points[layer], x, site: .block, normed: false,
        encoderOutputs: path.encoderOutputs)
      return (Variable(x) + Variable(update)).value
    }
  }

  /// Detached and without biases a block is linear in its input: J X = f(X), X all tokens.
  ///
  /// Both sides round a few hundred sums alike.
  @Test(arguments: fixtures) func detachedIsHomogeneous(_ fixture: Fixture) throws {
    var draft = try Draft(of: fixture.name)
    // Those of steps and of the choice of experts are inside what is held.
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

  /// The map of several prompts, each with rows of its own, is the mean of each prompt's.
  @Test(arguments: fixtures) func averagesOfPrompts(_ fixture: Fixture) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let prompts = [expected.tokenIds, Array(expected.tokenIds.reversed().dropFirst())]
      .map { ModelInput.tokens($0) }
    var map = JacobianMap(
      fromLayer: 0, to: .layer(model.description.layers), fromTokens: .all(skipping: 1),
      toTokens: .all())
    (map.tiesSources, map.reduction) = (true, .sum)
    let together = try linearize(map, of: prompts, in: model, as: Double.self).materialized()
    let alone = try prompts.map {
      try linearize(map, of: [$0], in: model, as: Double.self).materialized()
    }
    let mean = zip(alone[0].elements, alone[1].elements).map { ($0 + $1) / 2 }
    // The same sums in another order.
    expectClose(together.elements, mean, 1e-11)
  }
}
