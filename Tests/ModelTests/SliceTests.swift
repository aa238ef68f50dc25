import Autodiff
import Checkpoint
import LinearAlgebra
import Processes
import TestSupport
import Testing

@testable import Model

/// A team that holds blocks together computes what one process computes.
@Suite struct SliceTests {
  /// The models with parts that cannot be divided: recurrences, convolutions, latent attention, attention to other keys
  /// and values, blocks of a kind of their own.
  private static let indivisible: Set<String> = [
    "bart", "bart-bare", "deepseek_v2", "deepseek_v2-odd", "deepseek_v3", "deepseek_v3-odd",
    "falcon_h1", "falcon_h1-normed", "falcon_h1-odd", "gemma4-mixture", "gemma4-shared",
    "granitemoehybrid", "granitemoehybrid-odd", "lfm2", "lfm2-odd", "lfm2_moe", "lfm2_moe-odd",
    "mamba", "mamba-odd", "mamba2", "mamba2-odd", "nemotron_h", "nemotron_h-dense",
    "nemotron_h-experts", "nemotron_h-odd", "qwen3_5", "qwen3_5-odd", "qwen3_5_moe",
    "qwen3_next", "qwen3_next-odd", "t5", "t5-gated",
  ]

  private static let divisible = Fixture.plain.filter { !indivisible.contains($0.name) }

  @Test(arguments: Fixture.plain.filter { indivisible.contains($0.name) })
  func refused(_ fixture: Fixture) throws {
    let model = try fixture.load()
    let errors = try ThreadTeam.run(2) { team in
      #expect(throws: ModelError.self) { try model.divided(over: team) }
    }
    let message = try #require(errors[0]).description
    #expect(message.contains(model.description.family) && message.contains("whole blocks"))
    #expect(errors[1]?.description == message)
  }

  /// States, logits and Jacobians of every site, from a token to itself and to another. Both sides round about 10²
  /// operations of 10² terms each.
  @Test(arguments: divisible + Fixture.quantized)
  func equalsTheWhole(_ fixture: Fixture) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    try compare(model, expected, members: 2, Float.self, tolerance: 3e-5)
    try compare(model, expected, members: 3, Double.self, tolerance: 1e-12)
    try compare(model, expected, members: 4, Double.self, tolerance: 1e-12)
  }

  private func compare<S: RealScalar & Sendable>(
    _ model: any Transformer, _ expected: Expected, members: Int, _ precision: S.Type,
    tolerance: Double
  ) throws {
    let whole = try results(model, expected, S.self)
    let parts = try ThreadTeam.run(members) { team in
      try results(model.divided(over: team), expected, S.self)
    }
    for part in parts {
      #expect(part.count == whole.count)
      for (a, b) in zip(part, whole) { expectClose(a.elements, b.elements, tolerance) }
      // All members have the same bits.
      #expect(zip(part, parts[0]).allSatisfy { $0.elements == $1.elements })
    }
  }

  private func results<S: RealScalar>(
    _ model: some Transformer, _ expected: Expected, _ precision: S.Type
  ) throws -> [Matrix<Double>] {
    let path = try Path<S>(of: [expected.input], through: model)
    let cross = TokenSelection(
      source: expected.sigmaCross.inputToken, target: expected.sigmaCross.outputToken)
    var results = path.states.map { $0[0].converted(to: Double.self) }
    if let logits = path.logits { results.append(logits.converted(to: Double.self)) }
    for point in path.points {
      for tokens in [TokenSelection(expected.last), cross] {
        for site in JacobianSite.allCases {
          let jacobian = residualJacobian(model, at: point, [(0, tokens)], site: site)
          results += [jacobian.materialized(), jacobian.adjoint.materialized()]
        }
      }
    }
    return results
  }
}
