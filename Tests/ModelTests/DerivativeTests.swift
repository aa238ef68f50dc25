import Autodiff
import LinearAlgebra
import Testing

@testable import Model

/// Residual Jacobians satisfy the definition of a derivative.
@Suite struct DerivativeTests {
  /// The last token to itself, one in the middle, and a pair of tokens.
  private static func selections(_ expected: Expected) -> [TokenSelection] {
    [
      TokenSelection(expected.last), TokenSelection(2),
      TokenSelection(
        source: expected.sigmaCross.inputToken, target: expected.sigmaCross.outputToken),
    ]
  }

  /// ⟨u, J v⟩ = ⟨Jᵀ u, v⟩ for several vectors at once, in both precisions.
  ///
  /// Each side is a sum of width terms after a few hundred rounding errors: 10³ ε (‖u‖‖J v‖ + ‖Jᵀ u‖‖v‖) is ample,
  /// and far below the defect of a wrong rule.
  @Test(arguments: Fixture.plain, Site.all) func adjoint(_ fixture: Fixture, _ site: Site) throws {
    try checkAdjoint(fixture, site, Double.self)
    try checkAdjoint(fixture, site, Float.self)
  }

  private func checkAdjoint<S: RealScalar>(
    _ fixture: Fixture, _ site: Site, _ precision: S.Type
  ) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let path = try Path<S>(of: [expected.input], through: model)
    var generator = SeededGenerator(seed: 5)
    for (point, tokens) in product(path.points, Self.selections(expected)) {
      let j = residualJacobian(
        model, at: point, [(0, tokens)], site: site.site, normed: site.normed)
      let v = generator.normalMatrix(rows: 3, columns: j.inputDimension)
      let u = generator.normalMatrix(rows: 3, columns: j.outputDimension)
      let (jv, jtu) = (j.apply(v), j.applyAdjoint(u))
      let dots = Matrix.product(u, .none, jv, .transposed)  // (3, 3): each u with each v
      let scale = u.frobeniusNorm * jv.frobeniusNorm + jtu.frobeniusNorm * v.frobeniusNorm
      expectClose(
        dots.elements, Matrix.product(jtu, .none, v, .transposed).elements,
        1e3 * Double(S.ulpOfOne), scale: max(scale, .leastNormalMagnitude), "\(tokens)")
    }
  }

  /// Column by column, J eᵢ = (f(X + h eᵢ) − f(X − h eᵢ)) / 2h, where row t₁ of the whole sequence is changed and row
  /// t₂ of its update is read: this compares the computation for selected tokens with that of the whole sequence.
  ///
  /// h = 6e-6 ≈ ε^⅓ balances rounding, ε |f| / h ≈ 4e-11 |f|, and truncation, h² |f‴| / 6 ≈ 6e-12 |f‴|; |f‴| is at
  /// most a few thousand times |f′| at these points.
  @Test(arguments: Fixture.plain, Site.all)
  func finiteDifference(_ fixture: Fixture, _ site: Site) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let path = try Path<Double>(of: [expected.input], through: model)
    let h = 6e-6
    for (point, tokens) in product(path.points, Self.selections(expected)) {
      let jacobian = residualJacobian(
        model, at: point, [(0, tokens)], site: site.site, normed: site.normed
      ).materialized()
      let x = sequenceInput(
        model, at: point, point.states, site: site.site,
        encoderOutputs: path.encoderOutputs)
      let base = sequenceUpdate(
        model, at: point, x, site: site.site, normed: site.normed,
        encoderOutputs: path.encoderOutputs)
      var difference = Matrix<Double>(rows: x.columns, columns: x.columns)
      for i in 0..<x.columns {
        let at = { (step: Double) in
          var moved = x
          moved[tokens.source, i] += step
          return sequenceUpdate(
            model, at: point, moved, site: site.site, normed: site.normed,
            encoderOutputs: path.encoderOutputs
          ).row(tokens.target)
        }
        for (k, (up, down)) in zip(at(h), at(-h)).enumerated() {
          difference[k, i] = (up - down) / (2 * h)
        }
        if site.normed && tokens.source == tokens.target { difference[i, i] -= 1 }
      }
      expectClose(
        jacobian.elements, difference.elements, 1e-7,
        scale: max(largest(difference.elements), largest(base.elements)),
        "block \(point.layer), \(tokens)")
    }
  }

  /// Z = X + attention(X), F = Z + mlp(Z): I + J = (I + J_mlp)(I + J_attention) from a token to itself, up to
  /// rounding. If both halves read X, J = J_mlp + J_attention.
  @Test(arguments: Fixture.plain) func chainRule(_ fixture: Fixture) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let path = try Path<Double>(of: [expected.input], through: model)
    for (point, token) in product(path.points, [0, 3, expected.last]) {
      let plusIdentity = { (site: JacobianSite) in
        var j = residualJacobian(model, at: point, [(0, TokenSelection(token))], site: site)
          .materialized()
        for i in 0..<j.rows { j[i, i] += 1 }
        return j
      }
      let (mlp, attention) = (plusIdentity(.mlp), plusIdentity(.attention))
      var halves = Matrix.product(mlp, .none, attention)
      if model.block(point.layer).isParallel {
        halves.elements = zip(mlp.elements, attention.elements).map(+)
        for i in 0..<halves.rows { halves[i, i] -= 1 }
      }
      expectClose(plusIdentity(.block).elements, halves.elements, 1e-13)
    }
  }

  /// The value of the linearization is the update of the sequence at the target, at every site and also for pairs.
  @Test(arguments: Fixture.plain, Site.all) func value(_ fixture: Fixture, _ site: Site) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let path = try Path<Double>(of: [expected.input], through: model)
    for (point, tokens) in product(path.points, Self.selections(expected)) {
      let x = sequenceInput(
        model, at: point, point.states, site: site.site,
        encoderOutputs: path.encoderOutputs)
      var update = sequenceUpdate(
        model, at: point, x, site: site.site, normed: site.normed,
        encoderOutputs: path.encoderOutputs)
      if site.normed && tokens.source == tokens.target { update = update - x }
      let value = residualJacobian(
        model, at: point, [(0, tokens)], site: site.site, normed: site.normed
      ).value
      #expect(value.rows == 1)
      expectClose(value.elements, Array(update.row(tokens.target)), 1e-13)
    }
    // The update is the step from one hidden state to the next.
    guard site.site == .block, !site.normed else { return }
    for (l, point) in path.points.enumerated() {
      let value = residualJacobian(model, at: point, [(0, TokenSelection(expected.last))]).value
      let step = path.states[l + 1][0] - path.states[l][0]
      expectClose(value.elements, Array(step.row(expected.last)), 1e-13)
    }
  }
}

/// All pairs of an element of a and one of b.
func product<A, B>(_ a: [A], _ b: [B]) -> [(A, B)] { a.flatMap { x in b.map { (x, $0) } } }
