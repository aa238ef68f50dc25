import Foundation
import Lanczos
import Synchronization
import TestSupport
import Testing

@testable import Analysis

/// Runs in one process, each with its own number of threads, give the same results as each would alone.
struct RunsTogetherTests {
  /// The record of a run without times and memory.
  private static func found(_ solver: SolverKind, threads: Int) throws -> [String] {
    var settings = RunSettings(model: ModelFixture("llama").folder, name: "llama", threads: threads)
    (settings.top, settings.ranks, settings.solver) = (4, [4], solver)
    // Random weights are made on all threads as well.
    settings.randomInit = true
    let result = try AlignmentRun(settings, prompts: [.tokens([5, 3, 9]), .tokens([7])])
      .run(meter: MemoryMeter())
    return try result.record.prompts.flatMap { prompt in
      prompt.layers.map { "\($0.singularValues) \($0.residualNorms)" }
        + prompt.coupling.map { "\($0)" }
    }
  }

  @Test(arguments: SolverKind.allCases)
  func runsDoNotDisturbEachOther(solver: SolverKind) throws {
    let alone = try Self.found(solver, threads: 1)
    #expect(!alone.isEmpty)
    let together = Mutex<[[String]?]>(Array(repeating: nil, count: 8))
    DispatchQueue.concurrentPerform(iterations: 8) { i in
      let found = try? Self.found(solver, threads: 1 + i % 4)
      together.withLock { $0[i] = found }
    }
    for found in together.withLock({ $0 }) { #expect(found == alone) }
  }
}
