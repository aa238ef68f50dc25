import Autodiff
import LinearAlgebra
import Testing

@testable import Model

/// No influence passes against the mask.
@Suite struct CausalityTests {
  /// J is exactly zero if the target comes before the source.
  @Test(arguments: Fixture.plain, Site.all)
  func futureHasNoInfluence(_ fixture: Fixture, _ site: Site) throws {
    guard try fixture.load().description.isCausal else { return }
    try expectZero(fixture, site) { _ in [(3, 2), (4, 0), (6, 5)] }
  }

  /// Without a mask every token sees all others, in a block without a window.
  @Test(arguments: Fixture.plain, [JacobianSite.block, .attention])
  func allSeeAll(_ fixture: Fixture, _ site: JacobianSite) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    guard !model.description.isCausal else { return }
    let path = try Path<Double>(of: [expected.input], through: model)
    let blocks = (model as? DecoderModel)?.blocks ?? (model as? EncoderModel)?.blocks
    let hasWindow = blocks?.map { ($0.mixer as? AttentionWeights)?.window != nil }
    let points = path.points.filter { hasWindow?[$0.layer] != true }
    for (point, (source, target)) in product(points, [(3, 2), (expected.last, 0), (0, 3)]) {
      let tokens = TokenSelection(source: source, target: target)
      let j = residualJacobian(model, at: point, [(0, tokens)], site: site)
      // In some fixtures heads pay little attention to most tokens, but to none exactly zero.
      #expect(j.materialized().frobeniusNorm > 1e-4)
    }
  }

  /// In one block, a token sees itself and the window − 1 tokens before it: the next one back has no influence, and
  /// the last one inside has.
  @Test(arguments: Site.all) func window(_ site: Site) throws {
    let fixture = Fixture(name: "mistral", form: .folder)
    try expectZero(fixture, site) { last in [(last - 5, last), (0, 5), (0, last)] }
    guard site.site != .mlp else { return }
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let path = try Path<Double>(of: [expected.input], through: model)
    for point in path.points {
      let inside = TokenSelection(source: expected.last - 4, target: expected.last)
      let j = residualJacobian(
        model, at: point, [(0, inside)], site: site.site, normed: site.normed)
      #expect(j.materialized().frobeniusNorm > 1e-3)
    }
  }

  /// The MLP acts token by token.
  @Test(arguments: Fixture.plain) func mlpAcrossTokens(_ fixture: Fixture) throws {
    try expectZero(fixture, Site(site: .mlp, normed: false)) { last in [(last - 1, last), (0, 1)] }
  }

  private func expectZero(
    _ fixture: Fixture, _ site: Site, _ pairs: (_ last: Int) -> [(Int, Int)]
  ) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let path = try Path<Double>(of: [expected.input], through: model)
    for (point, (source, target)) in product(path.points, pairs(expected.last)) {
      let tokens = TokenSelection(source: source, target: target)
      let j = residualJacobian(
        model, at: point, [(0, tokens)], site: site.site, normed: site.normed)
      #expect(j.inputDimension == model.description.width)
      #expect(j.outputDimension == model.description.width)
      let ones = Matrix<Double>(rows: 2, columns: model.description.width, repeating: 1)
      #expect(j.apply(ones).elements.allSatisfy { $0 == 0 }, "J, \(tokens)")
      #expect(j.applyAdjoint(ones).elements.allSatisfy { $0 == 0 }, "Jᵀ, \(tokens)")
    }
  }
}
