import Autodiff
import LinearAlgebra
import Testing

@testable import Model

/// Logits, states and spectra, compared with those of another implementation in double precision.
@Suite struct ReferenceTests {
  @Test func fixtures() { #expect(Fixture.names.count >= 6) }

  /// Both sides round about 10² operations of 10² terms at ε = 2e-16; the stored decimals are exact. GGUF stores the
  /// ε of norms, θ and the rotary factors as float32, with errors of 6e-8 each.
  @Test(arguments: Fixture.all + Fixture.quantized) func doublePrecision(_ fixture: Fixture) throws
  {
    try compare(fixture, Double.self, tolerance: fixture.form == .gguf ? 1e-6 : 1e-9)
  }

  /// About a hundred successive rounding errors of 6e-8 with random signs, amplified by gains above 1 in between.
  @Test(arguments: Fixture.all + Fixture.quantized) func singlePrecision(_ fixture: Fixture) throws
  {
    try compare(fixture, Float.self, tolerance: 3e-5)
  }

  private func compare<S: RealScalar>(
    _ fixture: Fixture, _ precision: S.Type, tolerance: Double
  ) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let path = try Path<S>(of: [expected.input], through: model)
    #expect((path.logits == nil) == (expected.lastLogits == nil))
    if let logits = path.logits, let expected = expected.lastLogits {
      expectClose(logits.elements, expected, tolerance, "logits")
    }
    #expect(path.states.count == expected.hiddenNorms.count)
    for (l, x) in path.states.map({ $0[0] }).enumerated() {
      expectClose(
        Array(x.row(expected.last)), expected.hiddenLastToken[l], tolerance, "state \(l)")
      for (t, norm) in expected.hiddenNorms[l].enumerated() {
        let row = Matrix(rows: 1, columns: x.columns, elements: Array(x.row(t)))
        expectClose([row.frobeniusNorm], [norm], tolerance, "norm of state \(l), token \(t)")
      }
    }

    func sigma(
      _ l: Int, _ tokens: TokenSelection, _ site: JacobianSite, normed: Bool = false
    ) throws -> [Double] {
      let jacobian = residualJacobian(
        model, at: path.points[l], [(0, tokens)], site: site, normed: normed)
      return try jacobian.materialized().singularValueDecomposition().values
    }
    let last = TokenSelection(expected.last)
    let cross = TokenSelection(
      source: expected.sigmaCross.inputToken, target: expected.sigmaCross.outputToken)
    for l in 0..<model.description.layers {
      expectClose(try sigma(l, last, .block), expected.sigmaLast[l], tolerance, "σ \(l)")
      if let attention = expected.sigmaAttention, let mlp = expected.sigmaMlp {
        expectClose(
          try sigma(l, last, .attention), attention[l], tolerance, "σ attention \(l)")
        expectClose(try sigma(l, last, .mlp), mlp[l], tolerance, "σ MLP \(l)")
      }
      expectClose(
        try sigma(l, cross, .block), expected.sigmaCross.sigma[l], tolerance, "σ cross \(l)")
    }
    expectClose(
      try sigma(model.description.layers - 1, last, .block, normed: true),
      expected.sigmaLastBlockNormed, tolerance, "σ normed")
  }

  /// All forms of a fixture are one model, including its description.
  @Test(arguments: Fixture.all) func description(_ fixture: Fixture) throws {
    let model = try fixture.load().description
    let plain = try Fixture(name: fixture.name, form: .folder).load().description
    #expect(model.layers == plain.layers)
    #expect(model.width == plain.width)
    #expect(model.vocabulary == plain.vocabulary)
    #expect(model.heads == plain.heads)
    #expect(model.keyValueHeads == plain.keyValueHeads)
    #expect(model.feedForwardWidth == plain.feedForwardWidth)
    #expect(model.positions == plain.positions)
    // The factors of blocks are 1 if a file leaves them out.
    let factors = try fixture.load().source.tensors.count { $0.name.hasSuffix("layer_scalar") }
    #expect(model.parameters - factors == plain.parameters)
    #expect(model.family == plain.family)
    #expect(model.input == plain.input)
    #expect(model.isCausal == plain.isCausal)
    #expect(model.residual == plain.residual)
    let expected = try fixture.expected()
    let type: String? =
      switch fixture.form {
      case .gguf:
        try #require(
          FamilyDefinition.builtIn.first { $0.name == model.family }?.gguf
            .first { $0.architecture == model.modelType }
        ).architecture
      case .published: expected.published?.modelType
      case .folder, .bfloat16: nil
      }
    #expect(model.modelType == type ?? expected.modelType)
    #expect(model.storedTypes == [fixture.form == .bfloat16 ? "BF16" : "F32"])
  }
}
