import Autodiff
import Checkpoint
import LinearAlgebra
import Processes
import TestSupport
import Testing

@testable import Model

/// What a member of a team hands to the others is what `ProductTraffic` says, to the byte.
@Suite struct ProductTrafficTests {
  /// Blocks whose halves follow each other, with an MLP and with experts; and parallel blocks, which need one sum unless a norm
  /// follows.
  private static let sums = [
    "llama": 2, "gpt2": 2, "mixtral": 2, "qwen2_moe": 2, "gptj": 1, "phi": 1, "falcon": 1,
  ]

  @Test(arguments: Fixture.plain.filter { sums[$0.name] != nil })
  func productsSendWhatTheFormulaSays(_ fixture: Fixture) throws {
    let (model, expected) = (try fixture.load(), try fixture.expected())
    let sums = try #require(Self.sums[fixture.name])
    try check(model, expected, sums, Float.self)
    try check(model, expected, sums, Double.self)
  }

  private func check<S: RealScalar & Sendable>(
    _ model: any Transformer, _ expected: Expected, _ sums: Int, _ precision: S.Type
  ) throws {
    for members in [2, 3] {
      _ = try ThreadTeam.run(members) { team in
        let part = try model.divided(over: team)
        let path = try Path<S>(of: [expected.input], through: part)
        let width = model.description.width
        for rows in [1, 2] {
          let selections = (0..<rows).map {
            (prompt: 0, tokens: TokenSelection(expected.last - $0))
          }
          let whole = residualJacobian(part, at: path.points[0], selections)
          try Self.check(
            whole.rows, team,
            ProductTraffic(
              sums: sums, rows: rows, width: width, scalarBytes: MemoryLayout<S>.stride,
              members: members))
        }
        for site in [JacobianSite.attention, .mlp] {
          let half = residualJacobian(
            part, at: path.points[0], [(0, TokenSelection(expected.last))], site: site)
          try Self.check(
            half.rows, team,
            ProductTraffic(
              sums: 1, width: width, scalarBytes: MemoryLayout<S>.stride, members: members))
        }
      }
    }
  }

  /// Products of 1 and 8 whole vectors per row, and of vectors that the team holds between them.
  private static func check(
    _ rows: any BatchedOperator, _ team: any Communicator, _ formula: ProductTraffic
  ) throws {
    let distributed = RowDistributedBatch(rows, over: team)
    let held = Partition(of: rows.inputDimension, parts: team.size).counts[team.rank]
    #expect(rows.batch == formula.rows && distributed.inputDimension == held)
    for direction in [ProductDirection.forward, .adjoint] {
      for b in [1, 8] {
        let whole = try sent(team) { apply(rows, direction, vectors: b) }
        #expect(whole == formula.product(vectors: b))
        let parts = try sent(team) { apply(distributed, direction, vectors: b) }
        #expect(parts == formula.distributedProduct(vectors: b, share: held))
      }
    }
  }

  private static func sent(_ team: any Communicator, _ work: () throws -> Void) throws -> Traffic {
    let before = team.traffic
    try work()
    return team.traffic - before
  }

  private static func apply(
    _ a: any BatchedOperator, _ direction: ProductDirection, vectors b: Int
  ) {
    let active = Array(0..<a.batch)
    let (inputs, outputs) =
      direction == .forward
      ? (a.inputDimension, a.outputDimension) : (a.outputDimension, a.inputDimension)
    let v = [Double](repeating: 1, count: active.count * b * inputs)
    var y = [Double](repeating: 0, count: active.count * b * outputs)
    var span = y.mutableSpan
    a.apply(direction, v.span, into: &span, vectors: b, active: active)
  }
}
