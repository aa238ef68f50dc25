import Alignment
import Autodiff
import Checkpoint
import Lanczos
import LinearAlgebra
import Model
import Processes
import TestSupport
import Testing

@testable import Analysis

/// The two passes against dense Jacobians in double precision.
struct PassTests {
  static let prompts = [[5, 3, 9, 7], [1, 2, 3, 4, 5, 6], [8, 8]]

  /// J (d, d) for each block (outer) and prompt (inner), and the states of the target tokens: layers, then prompts.
  private struct Dense {
    var jacobians: [[Matrix<Double>]] = []
    var states: [[[Double]]] = []

    init(_ model: some Transformer, _ resolved: ResolvedSettings) throws {
      var hidden = try HiddenStates<Double>(PassTests.prompts, in: model)
      let all = PassTests.prompts.indices
      let tokens = { (hidden: HiddenStates<Double>) in
        all.map { p in Array(hidden.states(ofPrompt: p).row(resolved.selections[p][0].target)) }
      }
      states.append(tokens(hidden))
      for l in 1...model.description.layers {
        let point = try hidden.advance(through: model)
        states.append(tokens(hidden))
        guard resolved.layers.contains(l) else { continue }
        jacobians.append(
          all.map { p in
            residualJacobian(
              model, at: point, [(p, resolved.selections[p][0])], site: resolved.site,
              normed: l == resolved.normedLayer
            ).materialized()
          })
      }
    }
  }

  /// The passes of a run, and the same by dense matrices.
  private struct Passes {
    let resolved: ResolvedSettings
    /// One per linearized block, then per prompt.
    let solved: [[SingularTriplets]]
    let paths: [PathRecord]
    /// One per linearized block, then per prompt.
    let couplings: [[JacobianCouplings]]
    let dense: Dense

    init(_ fixture: ModelFixture, _ change: (inout RunSettings) -> Void = { _ in }) throws {
      let model = try loadTransformer(CheckpointDirectory(opening: fixture.folder))
      self = try Self.run(model, change)
    }

    private init(_ model: some Transformer, _ resolved: ResolvedSettings) throws {
      self.resolved = resolved
      let group = PromptGroup.groups(resolved.selections)[0]
      let journal = MemoryJournal()
      let share = GroupShare(AloneSharing(), group)
      let forward = try SolvePass(
        model, PassTests.prompts.map { .tokens($0) }, group, share, resolved: resolved,
        journal: journal,
        saveHiddenStates: false, decode: { _ in nil }
      ) { _, _ in }
      _ = try CouplingPass.run(
        model, forward, group, share, resolved: resolved, journal: journal
      ) { _ in }
      solved = forward.solved.map { ($0?.triplets ?? []).compactMap { $0 } }
      paths = (journal.paths(ofGroup: group) ?? []).compactMap { $0 }
      couplings = resolved.layers.map {
        (journal.couplings(group, layer: $0) ?? []).compactMap { $0 }
      }
      dense = try Dense(model, resolved)
    }

    private static func run(
      _ model: some Transformer, _ change: (inout RunSettings) -> Void
    ) throws -> Passes {
      var settings = RunSettings(model: "m", name: "m", threads: 1)
      (settings.top, settings.ranks, settings.form) = (6, [6], .both)
      change(&settings)
      return try Passes(
        model,
        try ResolvedSettings(
          settings, model.description, promptLengths: PassTests.prompts.map(\.count)))
    }
  }

  struct Request: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let change: @Sendable (inout RunSettings) -> Void
  }

  static let requests = [
    Request(testDescription: "block") { _ in },
    Request(testDescription: "normed") { $0.last = .normed },
    Request(testDescription: "attention") { $0.site = .attention },
    Request(testDescription: "mlp") { $0.site = .mlp },
    Request(testDescription: "cross") { ($0.fromToken, $0.toToken) = (.index(0), .index(1)) },
    Request(testDescription: "two blocks") { $0.layers = [1, 3] },
    Request(testDescription: "block solver") { $0.solver = .block },
  ]

  /// A(i|j) = Uⱼᵀ Jᵢ Vⱼ and B(i|j) = Vⱼᵀ Jᵢ Uⱼ for the vectors that were found. The products are in single precision:
  /// each entry is off by some ε_F32 √d ‖J‖ ≈ 10⁻⁶ ‖J‖ at most, and 10⁻⁵ is asked for.
  @Test(arguments: requests)
  func couplingIsThatOfTheWholeJacobian(request: Request) throws {
    let run = try Passes(ModelFixture("llama"), request.change)
    let blocks = run.resolved.layers.count
    for p in Self.prompts.indices {
      for i in 0..<blocks {
        let jacobian = run.dense.jacobians[i][p]
        let scale = jacobian.frobeniusNorm
        for j in 0..<blocks {
          let t = run.solved[j][p]
          let (u, v) = (t.leftVectors, t.rightVectors)
          for (found, left, right) in [
            (try #require(run.couplings[i][p].forms[.same])[j], u, v),
            (try #require(run.couplings[i][p].forms[.crossed])[j], v, u),
          ] {
            let wanted = Matrix.product(left, .none, .product(jacobian, .none, right, .transposed))
            for (a, b) in zip(found.matrix.elements, wanted.elements) {
              #expect(abs(a - b) <= 1e-5 * scale)
            }
            #expect(
              found.singularValues == run.solved[i][p].singularValues)
          }
        }
      }
    }
  }

  @Test(arguments: ModelFixture.all)
  func spectraAreThoseOfTheWholeJacobian(fixture: ModelFixture) throws {
    let run = try Passes(fixture)
    for (jacobians, found) in zip(run.dense.jacobians, run.solved) {
      for (jacobian, t) in zip(jacobians, found) {
        let values = try jacobian.singularValueDecomposition().1
        for (s, wanted) in zip(t.singularValues, values) {
          #expect(abs(s - wanted) <= 1e-5 * values[0])
        }
      }
    }
  }

  /// y ← (I + J^l) y along the blocks, then the cosine with x^L.
  @Test(arguments: ModelFixture.all)
  func linearisedPath(fixture: ModelFixture) throws {
    let run = try Passes(fixture)
    for p in Self.prompts.indices {
      var y = run.dense.states[0][p]
      for jacobians in run.dense.jacobians {
        let step = Matrix.product(
          Matrix([y]), .none, jacobians[p], .transposed)
        y = zip(y, step.elements).map { $0 + $1 }
      }
      let final = try #require(run.dense.states.last)[p]
      let wanted = try #require(LinearisedPath.cosine(image: y, final: final))
      let found = try #require(run.paths[p].trajectory.linearisedPathCosine)
      #expect(abs(found - wanted) <= 1e-5)
    }
  }

  /// ‖J‖_F is exact if all singular values are known, and otherwise within its own error bars: 16 probes, whose mean
  /// follows a t distribution of 15 degrees of freedom, leave 6 standard errors once in 4·10⁴.
  @Test func frobeniusNorms() throws {
    for fixture in ModelFixture.all {
      let run = try Passes(fixture)
      for p in Self.prompts.indices {
        for (norm, jacobians) in zip(run.couplings.map { $0[p].frobeniusNorm }, run.dense.jacobians)
        {
          let truth = jacobians[p].frobeniusNorm
          let error = try #require(norm.standardError)
          #expect(!norm.isExact && error > 0 && error < 0.2 * truth)
          #expect(abs(norm.value - truth) <= 6 * error)
        }
      }
    }
    let whole = try Passes(ModelFixture("odd")) { ($0.top, $0.ranks) = (20, [20]) }
    for p in Self.prompts.indices {
      for (norm, jacobians) in zip(
        whole.couplings.map { $0[p].frobeniusNorm }, whole.dense.jacobians)
      {
        #expect(norm.isExact)
        #expect(abs(norm.value - jacobians[p].frobeniusNorm) <= 1e-6 * norm.value)
      }
    }
  }
}
