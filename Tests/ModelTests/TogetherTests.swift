import Autodiff
import LinearAlgebra
import Testing

@testable import Model

/// Computing several things together gives what computing each alone does, up to the order of summation.
@Suite struct TogetherTests {
  /// Prompts of several lengths, the shortest with one token; for a decoder, two with the same encoder tokens and two
  /// with others; images, which always have the same length.
  static func prompts(_ expected: Expected) -> [ModelInput] {
    if case .image(let image) = expected.input {
      return [1, -1, 0.5, 2].map { factor in
        .image(
          PixelValues(
            channels: image.channels, height: image.height, width: image.width,
            values: image.values.map { factor * $0 }))
      }
    }
    let ids = expected.tokenIds
    let prompts = [Array(ids.prefix(4)), ids, Array(ids.suffix(1)), Array(ids.reversed())]
    guard let encoder = expected.encoderTokenIds else { return prompts.map { .tokens($0) } }
    return zip(prompts, [encoder, [3, 4], encoder, encoder + [5]]).map { .decoder($0, encoder: $1) }
  }

  /// Jacobians as rows of one linearization: its matrix is block diagonal, with the single Jacobians as blocks.
  @Test(arguments: Fixture.plain, Site.all)
  func selections(_ fixture: Fixture, _ site: Site) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let path = try Path<Double>(of: Self.prompts(expected), through: model)
    let last = expected.last
    let toItself = [(0, 3), (1, last), (1, 0), (2, 0), (1, last), (3, 2)].map {
      (prompt: $0.0, tokens: TokenSelection($0.1))
    }
    let across = [(0, 1, 3), (1, last - 1, last), (3, min(4, last), 1), (1, 0, 2)].map {
      (prompt: $0.0, tokens: TokenSelection(source: $0.1, target: $0.2))
    }
    let d = model.description.width
    for (point, selections) in product(path.points, [toItself, across]) {
      let together = residualJacobian(
        model, at: point, selections, site: site.site, normed: site.normed)
      #expect(together.inputDimension == selections.count * d)
      let matrix = together.materialized()
      let single = selections.map {
        residualJacobian(model, at: point, [$0], site: site.site, normed: site.normed)
      }
      var blocks = Matrix<Double>(rows: matrix.rows, columns: matrix.columns)
      for (r, j) in single.enumerated() {
        let block = j.materialized()
        for i in 0..<d { for k in 0..<d { blocks[r * d + i, r * d + k] = block[i, k] } }
      }
      expectClose(matrix.elements, blocks.elements, 1e-13, "block \(point.layer)")
      for r in 0..<matrix.rows {
        for c in 0..<matrix.columns where r / d != c / d { #expect(matrix[r, c] == 0) }
      }
      expectClose(together.value.elements, single.flatMap(\.value.elements), 1e-13)
    }
  }

  /// Prompts that are computed together have the states and logits of each alone.
  @Test(arguments: Fixture.plain) func prompts(_ fixture: Fixture) throws {
    try comparePrompts(fixture.load(), fixture.expected(), Double.self)
    try comparePrompts(fixture.load(), fixture.expected(), Float.self)
  }

  /// The same, if the rotary frequencies depend on the length of a prompt.
  @Test func promptsOfSeveralFrequencies() throws {
    let (model, expected) = (try Self.dynamicModel(), try Self.longExpected())
    try comparePrompts(model, expected, Double.self)
    let path = try Path<Double>(of: Self.prompts(expected), through: model)
    for point in path.points {
      let (short, long) = ((0, TokenSelection(3)), (1, TokenSelection(expected.last)))
      let both = residualJacobian(model, at: point, [short, long]).value
      let each = [short, long].map { residualJacobian(model, at: point, [$0]).value }
      expectClose(both.elements, each.flatMap(\.elements), 1e-13)
      let step = path.states[point.layer + 1][0] - path.states[point.layer][0]
      expectClose(each[0].elements, Array(step.row(3)), 1e-13)
    }
  }

  private static func longExpected() throws -> Expected {
    try Fixture(name: "llama", form: .folder).expected()
  }

  /// Trained on 5 positions, with scaling for longer prompts.
  private static func dynamicModel() throws -> any Transformer {
    var draft = try Draft(of: "llama")
    draft.configuration["max_position_embeddings"] = 5
    draft.configuration["rope_parameters"] = [
      "rope_type": "dynamic", "factor": 2.5, "rope_theta": 1e4,
    ]
    return try draft.load()
  }

  private func comparePrompts<S: RealScalar>(
    _ model: any Transformer, _ expected: Expected, _ precision: S.Type
  ) throws {
    let prompts = Self.prompts(expected)
    let together = try Path<S>(of: prompts, through: model)
    let tolerance = 500 * Double(S.ulpOfOne)
    for (p, prompt) in prompts.enumerated() {
      let alone = try Path<S>(of: [prompt], through: model)
      if let logits = together.logits {
        expectClose(
          Array(logits.row(p)), try #require(alone.logits).elements, tolerance, "logits \(p)")
      }
      for l in alone.states.indices {
        #expect(together.states[l][p].rows == model.description.tokenCount(of: prompt))
        expectClose(
          together.states[l][p].elements, alone.states[l][0].elements, tolerance,
          "state \(l) of prompt \(p)")
      }
    }
  }
}
