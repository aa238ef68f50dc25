import Checkpoint
import Model
import TestSupport
import Testing
import Weights

@testable import Analysis

/// Blocks whose Jacobians are fewer than the threads are solved and coupled together.
struct BlocksTogetherTests {
  private func record(
    _ model: String, _ prompts: [[Int]], threads: Int,
    _ change: (inout RunSettings) -> Void = { _ in }
  ) throws -> RunRecord {
    var settings = RunSettings(model: model, name: "m", threads: threads)
    (settings.top, settings.ranks, settings.solver, settings.form) = (4, [2, 4], .block, .both)
    // The machine's choice may depend on the number of threads.
    settings.blockSize = 4
    change(&settings)
    return try AlignmentRun(settings, prompts: prompts.map { .tokens($0) }).run(
      meter: MemoryMeter()
    ).record
  }

  /// What does not depend on times.
  private func expectSame(_ a: RunRecord, _ b: RunRecord) {
    #expect(a.prompts.count == b.prompts.count)
    for (p, q) in zip(a.prompts, b.prompts) {
      #expect(p.failed == q.failed)
      #expect(p.layers.map(\.layer) == q.layers.map(\.layer))
      #expect(p.layers.map(\.singularValues) == q.layers.map(\.singularValues))
      #expect(p.layers.map(\.residualNorms) == q.layers.map(\.residualNorms))
      #expect(p.layers.map(\.bound) == q.layers.map(\.bound))
      #expect(p.layers.map(\.certificate) == q.layers.map(\.certificate))
      #expect(p.layers.map(\.noise) == q.layers.map(\.noise))
      #expect(p.layers.map(\.frobeniusNorm) == q.layers.map(\.frobeniusNorm))
      #expect(p.coupling == q.coupling)
      #expect(p.trajectory.linearisedPathCosine == q.trajectory.linearisedPathCosine)
    }
  }

  private static let prompts = [[5, 3, 9, 7], [1, 2, 3, 4, 5, 6], [8, 8]]

  /// The numbers are to the bit those of one thread, which solves block after block: with maps that are fused and not, at some of
  /// the blocks, and where nothing but rounding is left to be refined.
  @Test(arguments: ["llama", "gpt2"], [1, 3])
  func threadsDoNotShow(fixture: String, prompts: Int) throws {
    let model = ModelFixture(fixture).folder
    let given = Array(Self.prompts.prefix(prompts))
    let changes: [(inout RunSettings) -> Void] = [
      { _ in }, { ($0.layers, $0.tolerance) = ([2, 3], 1e-8) }, { $0.precision = .double },
    ]
    for change in changes {
      let alone = try record(model, given, threads: 1, change)
      for threads in [2, 4] {
        expectSame(try record(model, given, threads: threads, change), alone)
      }
      let limited = try record(model, given, threads: 3) { settings in
        change(&settings)
        settings.maxMemory = 1 << 40
      }
      expectSame(limited, alone)
    }
  }

  /// A failure at a block that is solved together with others is that of one thread, and the other prompt goes on. Infinite
  /// states fail before a block is solved, states of 2·10³⁸ in its products.
  @Test(arguments: [Float.infinity, 2e38]) func failuresAreTheSame(value: Float) throws {
    let model = try FailedPromptTests.EditedModel("model.embed_tokens.weight", row: 25, value)
    let prompts = [[5, 7, 3, 25], [5, 3, 9, 7]]
    let alone = try record(model.folder, prompts, threads: 1)
    #expect(alone.failures.map(\.number) == [1])
    for threads in [2, 4] {
      expectSame(try record(model.folder, prompts, threads: threads), alone)
      let error = #expect(throws: RunError.self) {
        try record(model.folder, [prompts[0]], threads: threads)
      }
      #expect(error == .allFailed(alone.failures))
    }
  }

  /// As many as give every thread a batch, unless memory is limited or threads work together in every batch.
  @Test func numberOfBlocksIsThatOfTheThreads() throws {
    var settings = RunSettings(model: "m", name: "m", threads: 1)
    (settings.top, settings.ranks) = (4, [4])
    let model = try loadTransformer(CheckpointDirectory(opening: ModelFixture("llama").folder))
    let free = try ResolvedSettings(settings, model.description, promptLengths: [3])
    settings.maxMemory = 1 << 40
    let limited = try ResolvedSettings(settings, model.description, promptLengths: [3])
    Engine(threads: 5).use {
      #expect([1, 2, 3, 5, 16].map { SolvePass.blocksTogether($0, free) } == [5, 3, 2, 1, 1])
      #expect(SolvePass.blocksTogether(nil, free) == 1)
      #expect(SolvePass.blocksTogether(1, limited) == 1)
      // Solves that share all threads keep them, and so does the evaluation of many tokens.
      let ahead = { (count: Int, isDivided: Bool, tokens: Int, settings: ResolvedSettings) in
        SolvePass.blocksAhead(
          ofTogether: count, isDivided: isDivided, tokens: tokens, settings)
      }
      #expect([3, 256, 257].map { ahead(1, true, $0, free) } == [1, 1, 0])
      #expect([3, 256, 257].map { ahead(5, true, $0, free) } == [5, 5, 0])
      #expect(ahead(1, false, 3, free) == 0)
      #expect(ahead(1, true, 3, limited) == 0)
    }
    #expect(
      Engine(threads: 1).use {
        SolvePass.blocksAhead(ofTogether: 1, isDivided: true, tokens: 3, free)
      } == 0)
  }
}
