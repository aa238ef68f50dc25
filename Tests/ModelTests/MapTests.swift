import Autodiff
import LinearAlgebra
import Testing

@testable import Model

/// Maps between tokens and boundaries satisfy the definition of a derivative, in every family.
@Suite struct MapTests {
  /// Maps of several kinds between the boundaries of a model.
  private static func maps(_ description: ModelDescription) -> [JacobianMap] {
    let layers = description.layers
    let make = {
      (
        from: Int, to: JacobianMap.Destination, source: JacobianMap.Tokens,
        target: JacobianMap.Tokens, change: (inout JacobianMap) -> Void
      ) in
      var map = JacobianMap(fromLayer: from, to: to, fromTokens: source, toTokens: target)
      change(&map)
      return map
    }
    let end = JacobianMap.Destination.layer(layers)
    return [
      make(0, end, .last, .last) { _ in },
      make(0, end, .all(), .all()) { $0.keepsIdentity = true },
      make(layers - 1, end, .all(), .all()) { _ in },
      make(0, end, .listed([1, 3]), .listed([2, 3, -1])) { _ in },
      make(layers - 1, end, .all(skipping: 2), .last) { _ in },
      make(0, .finalNorm, .listed([2]), .all(skipping: 1)) { $0.reduction = .mean },
      make(0, end, .all(skipping: 1), .all(skipping: 1)) {
        ($0.tiesSources, $0.reduction) = (true, .sum)
      },
      make(layers, .finalNorm, .listed([1, 2]), .last) { _ in },
    ]
  }

  /// The states at boundary `to` of whole sequences with states `x` at boundary `from`: no rows are selected, and
  /// nothing is taken from an earlier pass except what lies before the map.
  private static func forward(
    _ model: some Transformer, _ path: Path<Double>, _ x: Matrix<Double>, _ map: ResolvedMap
  ) -> Variable<Double> {
    var (x, kept) = (Variable(x), [Int: [MixerCaches<Double>]]())
    for l in map.map.fromLayer..<max(map.lastBlock, map.map.fromLayer) {
      let source = model.keyValueSource(ofBlock: l)
      let context = AttentionContext<Double>(
        prompts: [0..<x.rows], encoderOutputs: path.encoderOutputs,
        earlier: source.flatMap { kept[$0] ?? path.points[$0].caches } ?? [],
        sideInput: path.points[l].sideInput)
      x = x + model.block(l).update(ResidualStream(x), in: context)
      kept[l] = context.caches
    }
    if case .finalNorm = map.map.to { x = model.finalNorm(x) }
    return x
  }

  /// The map's output when the states x at its first boundary are changed by v: (sources, width).
  private static func value(
    _ model: some Transformer, _ path: Path<Double>, _ map: ResolvedMap, moved v: Matrix<Double>,
    by step: Double
  ) -> [Double] {
    var x = path.states[map.map.fromLayer][0]
    for (i, token) in map.fromTokens.enumerated() {
      for c in 0..<x.columns { x[token, c] += step * v[map.map.tiesSources ? 0 : i, c] }
    }
    let y = forward(model, path, x, map).value
    let rows = map.toTokens.map { Array(y.row($0)) }
    if map.map.reduction == .none {
      let input = map.fromTokens.map { Array(x.row($0)) }
      guard map.subtractsIdentity else { return rows.flatMap { $0 } }
      return zip(rows, input).flatMap { zip($0, $1).map { $0 - $1 } }
    }
    let scale = map.map.reduction == .mean ? 1 / Double(rows.count) : 1
    return (0..<y.columns).map { c in scale * rows.reduce(0) { $0 + $1[c] } }
  }

  /// J v against central differences of the plain pass over whole sequences, extrapolated from two steps.
  ///
  /// With D(h) = (f(x + h v) − f(x − h v)) / 2h and |v| = 1, (4 D(h/2) − D(h)) / 3 is off by h⁴ |f⁗′| / 480 and by
  /// about 2 ε |f| / h of rounding. For h = 2 · 10⁻⁶ |x| these are 4 · 10⁻²⁶ |x|⁴ |f⁗′| and 2 · 10⁻¹⁰ |f| / |x|,
  /// where |f| / |x| is up to 100 |f′|; a larger h would cross more of the kinks of ReLU and of clipped values.
  @Test(arguments: Fixture.plain) func finiteDifference(_ fixture: Fixture) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    // Backwards, because forwards a unit of one of the ReLU models is 10⁻⁶ from its kink.
    var input = expected.input
    if case .tokens(let ids) = input { input = .tokens(ids.reversed()) }
    let path = try Path<Double>(of: [input], through: model)
    let count = path.states[0][0].rows
    var generator = SeededGenerator(seed: 3)
    for map in Self.maps(model.description) {
      let resolved = try ResolvedMap(map, of: model.description, tokens: count)
      let j = try linearize(map, of: [input], in: model, as: Double.self)
      let shape = resolved.inputShape
      #expect(j.inputDimension == shape.rows * shape.columns)
      var v = generator.normalMatrix(rows: shape.rows, columns: shape.columns)
      let norm = v.frobeniusNorm
      v.elements = v.elements.map { $0 / norm }
      let difference = { (h: Double) in
        let (up, down) = (
          Self.value(model, path, resolved, moved: v, by: h),
          Self.value(model, path, resolved, moved: v, by: -h)
        )
        return zip(up, down).map { ($0 - $1) / (2 * h) }
      }
      let sources = resolved.fromTokens.flatMap { path.states[map.fromLayer][0].row($0) }
      let h = 2e-6 * sources.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let (wide, narrow) = (difference(h), difference(h / 2))
      let best = zip(wide, narrow).map { (4 * $1 - $0) / 3 }
      let jv = j.apply(Matrix(rows: 1, columns: v.elements.count, elements: v.elements))
      expectClose(jv.elements, best, 1e-7, scale: max(largest(best), 1e-3), "\(map)")
      // The value is that of the plain pass.
      expectClose(
        j.value.elements, Self.value(model, path, resolved, moved: v, by: 0), 1e-12,
        "the value of \(map)")
    }
  }

  /// ⟨u, J v⟩ = ⟨Jᵀ u, v⟩: the tolerance is that of `DerivativeTests.adjoint`.
  @Test(arguments: Fixture.plain) func adjoint(_ fixture: Fixture) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    for map in Self.maps(model.description) {
      let j = try linearize(map, of: [expected.input], in: model, as: Float.self)
      var generator = SeededGenerator(seed: 4)
      let v = generator.normalMatrix(rows: 2, columns: j.inputDimension)
      let u = generator.normalMatrix(rows: 2, columns: j.outputDimension)
      let (jv, jtu) = (j.apply(v), j.applyAdjoint(u))
      let scale = u.frobeniusNorm * jv.frobeniusNorm + jtu.frobeniusNorm * v.frobeniusNorm
      expectClose(
        Matrix.product(u, .none, jv, .transposed).elements,
        Matrix.product(jtu, .none, v, .transposed).elements, 1e3 * Double(Float.ulpOfOne),
        scale: max(scale, .leastNormalMagnitude), "\(map)")
    }
  }

  /// For one block and one token the map is the residual Jacobian, to the bit; so it is for its halves.
  @Test(arguments: Fixture.plain) func oneBlockIsTheResidualJacobian(_ fixture: Fixture) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let path = try Path<Float>(of: [expected.input], through: model)
    for (part, site) in [
      (JacobianMap.Part.block, JacobianSite.block), (.attention, .attention), (.mlp, .mlp),
    ] {
      let last = model.description.layers - 1
      var map = JacobianMap(fromLayer: last, to: .layer(last + 1))
      map.part = part
      let j = try linearize(map, of: [expected.input], in: model, as: Float.self)
      let one = residualJacobian(
        model, at: path.points[last], [(0, TokenSelection(expected.last))], site: site)
      #expect(j.materialized() == one.materialized(), "\(site)")
    }
  }

  /// The heads' Jacobians sum to that of the attention half if only a linear map follows the heads.
  ///
  /// In double precision the sums differ by a few rounding errors of each.
  @Test(arguments: ["llama", "gpt2", "gpt_oss", "deepseek_v3"])
  func headsAddUp(_ name: String) throws {
    let fixture = Fixture(name: name, form: .folder)
    let (model, expected) = (try fixture.load(), try fixture.expected())
    var map = JacobianMap(fromLayer: 1, to: .layer(2), fromTokens: .all(), toTokens: .all())
    map.part = .attention
    let whole = try linearize(map, of: [expected.input], in: model, as: Double.self).materialized()
    var sum = Matrix<Double>(rows: whole.rows, columns: whole.columns)
    for head in 0..<model.block(1).headCount {
      map.part = .head(head)
      let one = try linearize(map, of: [expected.input], in: model, as: Double.self)
      let dense = one.materialized()
      sum.elements = zip(sum.elements, dense.elements).map { $0 + $1 }
    }
    expectClose(sum.elements, whole.elements, 1e-12)
  }

  /// K = [J_a … J_z]: each part is the map from its boundary with tied sources and summed targets; over prompts of
  /// several lengths it is the sum.
  @Test(arguments: ["llama", "mixtral", "falcon", "mamba", "qwen3_next"])
  func boundariesSideBySide(_ name: String) throws {
    let fixture = Fixture(name: name, form: .folder)
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let layers = model.description.layers
    let prompts: [ModelInput] = [
      .tokens(expected.tokenIds), .tokens(Array(expected.tokenIds.prefix(4))),
    ]
    let boundaries = Array(0..<layers)
    let all = try linearizeBoundaries(
      boundaries, skipping: 1, of: prompts, in: model, scale: 0.5, as: Double.self
    ).materialized()
    let d = model.description.width
    for layer in boundaries {
      var sum = Matrix<Double>(rows: d, columns: d)
      for prompt in prompts {
        var map = JacobianMap(
          fromLayer: layer, to: .layer(layers), fromTokens: .all(skipping: 1), toTokens: .all())
        (map.tiesSources, map.reduction) = (true, .sum)
        let one = try linearize(map, of: [prompt], in: model, as: Double.self).materialized()
        sum.elements = zip(sum.elements, one.elements).map { $0 + 0.5 * $1 }
      }
      let part = (0..<d).flatMap { r in (0..<d).map { all[r, layer * d + $0] } }
      expectClose(part, sum.elements, 1e-12, "from boundary \(layer)")
    }
  }

  /// The mean over prompts as one operator equals the mean of their operators.
  @Test(arguments: ["llama", "gemma2", "lfm2", "falcon_h1"]) func average(_ name: String) throws {
    let fixture = Fixture(name: name, form: .folder)
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let prompts: [ModelInput] = [
      .tokens(expected.tokenIds), .tokens(Array(expected.tokenIds.reversed().prefix(5))),
    ]
    let map = JacobianMap(fromLayer: 0, to: .layer(2))
    let mean = try linearize(map, of: prompts, in: model, as: Double.self).materialized()
    let each = try prompts.map {
      try linearize(map, of: [$0], in: model, as: Double.self).materialized()
    }
    expectClose(
      mean.elements, zip(each[0].elements, each[1].elements).map { ($0 + $1) / 2 }, 1e-12)
  }

  /// A detached block is linear: J x = f(x) for a family without biases, with any mixers, norms and gates.
  ///
  /// In single precision f is off by about a hundred rounding errors of numbers of up to the stream's size: 10⁻⁵ of
  /// that.
  @Test(
    arguments: [
      "llama", "mistral", "qwen3", "gemma", "gemma2", "gemma3", "mixtral", "olmo", "olmo2",
      "cohere",
      "qwen3_moe", "granite", "smollm3", "deepseek_v3",
    ].filter { Fixture.names.contains($0) })
  func detachedIsLinear(_ name: String) throws {
    let fixture = Fixture(name: name, form: .folder)
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let path = try Path<Float>(of: [expected.input], through: model)
    for layer in 0..<model.description.layers {
      var map = JacobianMap(
        fromLayer: layer, to: .layer(layer + 1), fromTokens: .all(), toTokens: .all())
      map.linearization = .detached
      map.keepsIdentity = true
      let j = try linearize(map, of: [expected.input], in: model, as: Float.self)
      let x = path.states[layer][0].converted(to: Double.self)
      let jx = j.apply(Matrix(rows: 1, columns: x.elements.count, elements: x.elements))
      expectClose(jx.elements, path.states[layer + 1][0].elements, 1e-5)
    }
  }

  /// Maps that a model does not have are refused.
  @Test func refusals() throws {
    let model = try Fixture(name: "llama", form: .folder).load()
    let refused = { (change: (inout JacobianMap) -> Void) -> MapError? in
      var map = JacobianMap(fromLayer: 1, to: .layer(2))
      change(&map)
      do { _ = try linearize(map, of: [.tokens([1, 2, 3])], in: model, as: Float.self) } catch {
        return error as? MapError
      }
      return nil
    }
    let layers = model.description.layers
    #expect(refused { $0.to = .layer(1) } == .backwards(from: 1, to: 1))
    #expect(refused { $0.fromLayer = layers + 1 } == .noBoundary(layers + 1, layers: layers))
    #expect(refused { $0.fromTokens = .listed([3]) } == .noToken(3, count: 3, isSource: true))
    #expect(refused { $0.toTokens = .listed([-4]) } == .noToken(-4, count: 3, isSource: false))
    #expect(
      refused { $0.fromTokens = .all(skipping: 3) } == .noTokens(count: 3, isSource: true))
    #expect(refused { $0.toTokens = .listed([1]) } == .unreachable(from: 2, to: 1))
    #expect(
      refused { $0.part = .head(99) }
        == .noHead(99, count: model.description.heads, layer: 2))
    #expect(refused { $0.part = .expert(0) } == .noExpert(0, count: 0, layer: 2))
    #expect(refused { ($0.part, $0.fromLayer) = (.mlp, 0) } == .partOfOneBlock)
    #expect(
      refused { ($0.path, $0.fromTokens) = (.own, .listed([0])) } == .ownPathOfOneToken)
    #expect(
      refused { $0.to = .logitDifference(0, -1) }
        == .noLogit(-1, vocabulary: model.description.vocabulary))
  }
}
