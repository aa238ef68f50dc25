import Alignment
import Checkpoint
import Lanczos
import LinearAlgebra
import Model
import TestSupport
import Testing

@testable import Analysis

/// Couplings of every kind as a run records them, against dense Jacobians decomposed in double precision.
struct KindTests {
  static let prompts = [[5, 3, 9, 7, 2], [1, 2, 3], [8]]

  struct Request: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let change: @Sendable (inout RunSettings) -> Void
  }

  static let requests = [
    Request(testDescription: "depth, all tokens") { $0.tokens = .all },
    Request(testDescription: "self") { ($0.kind, $0.tokens) = (.tokens, .all) },
    Request(testDescription: "self, some tokens") {
      ($0.kind, $0.tokens) = (.tokens, .indices([0, -1]))
    },
    Request(testDescription: "self, in the bases of block 2") {
      ($0.kind, $0.tokens, $0.basisLayer) = (.tokens, .all, 2)
    },
    Request(testDescription: "context-input") {
      ($0.kind, $0.tokens, $0.fromToken) = (.contextInput, .all, .index(0))
    },
    Request(testDescription: "context-output, in the bases of block 1") {
      ($0.kind, $0.tokens, $0.toToken, $0.basisLayer) = (.contextOutput, .all, .last, 1)
    },
  ]

  /// A dense Jacobian and its triplets by LAPACK.
  private struct Dense {
    let jacobian: Matrix<Double>
    let triplets: SingularTriplets

    init(_ jacobian: Matrix<Double>, rank: Int) throws {
      self.jacobian = jacobian
      triplets = try DenseSolver().partialSVD(of: DenseOperator(jacobian), count: rank)
    }

    /// Whether its leading values stand apart, so that its vectors are determined.
    var isClear: Bool {
      let s = triplets.singularValues
      return zip(s, s.dropFirst()).allSatisfy { $0 - $1 > 1e-3 * s[0] }
    }
  }

  /// The Jacobians by block, then prompt, then selection.
  private func dense(
    _ model: some Transformer, _ resolved: ResolvedSettings, rank: Int
  ) throws -> [[[Dense]]] {
    var hidden = try HiddenStates<Double>(Self.prompts, in: model)
    return try (0..<model.description.layers).map { _ in
      let point = try hidden.advance(through: model)
      return try resolved.selections.enumerated().map { p, selections in
        try selections.map { tokens in
          try Dense(
            residualJacobian(model, at: point, [(p, tokens)]).materialized(), rank: rank)
        }
      }
    }
  }

  /// Score 1 − ‖A − S‖ / ‖S‖ of the dense Jacobian i in the dense basis of j. Where leading values are 10⁻³ σ₁ apart, a
  /// tolerance of 10⁻⁶ turns the vectors by 10⁻³ at most, and single precision by less: 2·10⁻³ is asked for.
  @Test(arguments: ["llama", "bert"], requests)
  func couplingsAreThoseOfTheDenseComputation(name: String, request: Request) throws {
    let rank = 3
    let directory = try CheckpointDirectory(opening: ModelFixture(name).folder)
    var settings = RunSettings(model: directory.path, name: name, threads: 1)
    // One triplet more than compared is solved, to see that the last gap is open too.
    (settings.top, settings.ranks, settings.tolerance) = (rank + 1, [rank], 1e-6)
    request.change(&settings)
    let model = try loadTransformer(directory)
    let resolved = try ResolvedSettings(
      settings, model.description, promptLengths: Self.prompts.map(\.count))
    let dense = try dense(model, resolved, rank: rank + 1)
    let record = try AlignmentRun(settings, prompts: Self.prompts.map { .tokens($0) })
      .run(meter: MemoryMeter()).record
    var compared = 0
    for (p, prompt) in record.prompts.enumerated() {
      let selections = resolved.selections[p]
      #expect(prompt.layers.count == resolved.layers.count * selections.count)
      let tables = prompt.coupling.filter { $0.setting == CouplingSetting(rank: rank) }
      #expect(tables.count == (settings.kind == .depth ? selections.count : resolved.layers.count))
      for (number, table) in tables.enumerated() {
        #expect(table.kind == settings.kind)
        for i in table.rows.indices {
          for j in table.columns.indices {
            let (a, b): (Dense, Dense)
            if settings.kind == .depth {
              #expect(table.place.toToken == selections[number].target)
              (a, b) = (dense[i][p][number], dense[j][p][number])
            } else {
              #expect(table.place.layer == resolved.layers[number])
              #expect(table.place.basisLayer == (settings.basisLayer ?? resolved.layers[number]))
              (a, b) = (dense[number][p][i], dense[resolved.basis ?? number][p][j])
            }
            guard a.isClear, b.isClear else { continue }
            let wanted = BlockCoupling(
              form: .same, of: DenseOperator(a.jacobian),
              singularValues: Array(a.triplets.singularValues.prefix(rank)),
              inBasisOf: b.triplets
            ).score()
            #expect(abs(try #require(table.matrix[i][j]) - (try #require(wanted))) <= 2e-3)
            compared += 1
          }
        }
      }
    }
    #expect(compared > 0)
  }

  /// A token's Jacobians do not depend on which others are requested: self over all tokens holds what depth finds at one.
  @Test func kindsShareTheirJacobians() throws {
    let values = { (change: (inout RunSettings) -> Void) throws -> [LayerRecord] in
      var settings = RunSettings(model: ModelFixture("llama").folder, name: "llama", threads: 1)
      (settings.top, settings.ranks) = (3, [3])
      change(&settings)
      return try AlignmentRun(settings, prompts: [.tokens([5, 3, 9])]).run(meter: MemoryMeter())
        .record.prompts[0].layers
    }
    let all = try values { ($0.kind, $0.tokens) = (.tokens, .all) }
    let last = try values { _ in }
    let lastOfAll = all.filter { $0.toToken == 2 }
    #expect(lastOfAll.map(\.layer) == last.map(\.layer))
    for (a, b) in zip(lastOfAll, last) {
      for (x, y) in zip(a.singularValues, b.singularValues) {
        #expect(abs(x - y) <= 2e-5 * b.singularValues[0])
      }
    }
  }
}
