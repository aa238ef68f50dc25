import Analysis
import Foundation
import Lanczos
import TestSupport
import Testing

/// `bench` runs every solver in a process of its own.
struct BenchCommandTests {
  @Test(arguments: ["0", "-1", "1025"])
  func impossibleThreadsAreRefused(threads: String) throws {
    let finished = try Command.run(
      ["bench", ModelFixture("llama").folder, "--threads=\(threads)"], in: try ScratchFolder())
    #expect(finished.status == 64)
    #expect(finished.complaints.first?.contains("--threads \(threads)") == true)
  }

  /// The dense solver is the reference for any number of threads: both agree to the tolerance, 1e-5 of σ₁ each.
  @Test(arguments: ["1", "2"])
  func solversAgree(threads: String) throws {
    let finished = try Command.run(
      [
        "bench", ModelFixture("llama").folder, "--token-ids", "1,2,3", "--top", "3", "--threads",
        threads, "--json",
      ], in: try ScratchFolder())
    try #require(finished.status == 0, "\(finished.error)")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let found = try decoder.decode([SolverMeasurement].self, from: Data(finished.output.utf8))
    #expect(found.map(\.solver) == ["arpack", "block", "randomized", "dense"])
    let oracle = try #require(found.last).singularValues
    for measurement in found {
      for (value, exact) in zip(measurement.singularValues, oracle) {
        #expect(abs(value - exact) <= 2e-5 * oracle[0], "\(measurement.solver)")
      }
    }
  }
}
