import LinearAlgebra
import Testing

@testable import Lanczos
@testable import truth

/// A small part of benchmarks/truth: spectra that mislead solvers, compared with their exact values.
@Suite struct TruthTests {
  /// Nothing is missed, and no value or vector has an error larger than its bound.
  @Test(arguments: HardSpectrum.allCases, SolverCase.all)
  func nothingIsMissed(kind: HardSpectrum, solver: SolverCase) throws {
    let (size, count) = kind == .cycle ? (20, 5) : (64, 10)
    for precision in HardProblem.Precision.allCases {
      let problems = try (0..<max(solver.members, 2)).map {
        try HardProblem(kind, size: size, count: count, seed: UInt64($0), start: 3)
      }
      for first in stride(from: 0, to: problems.count, by: solver.members) {
        let trial = Trial(
          solver: solver, problems: Array(problems[first..<first + solver.members]),
          precision: precision, isChecked: true, seed: 3)
        for (problem, verdict) in zip(trial.problems, try trial.run()) {
          #expect(!verdict.missed, "\(problem) \(precision)")
          #expect(!verdict.exceeded, "\(problem) \(precision)")
        }
      }
    }
  }

  /// The benchmark notices misses: narrow blocks without a search miss copies of a value and still converge.
  @Test func withoutTheCheckSomethingIs() throws {
    let problems = try (0..<16).map {
      try HardProblem(.equalAtTop, size: 64, count: 10, seed: UInt64($0), start: 3)
    }
    let verdicts = try Trial(
      solver: SolverCase(kind: .block, members: 16), problems: problems, precision: .float64,
      isChecked: false, seed: 3
    ).run()
    #expect(verdicts.contains { $0.missed && $0.converged })
  }

  /// LAPACK finds the exact values, and the single-precision map equals the exact one up to its rounding.
  @Test(arguments: HardSpectrum.allCases) func truthIsTrue(kind: HardSpectrum) throws {
    let size = kind == .cycle ? 20 : 48
    let problem = try HardProblem(kind, size: size, count: 5, seed: 1, start: 2)
    let meant = problem.meant().materialized()
    let found = try meant.singularValueDecomposition()
    for (value, truth) in zip(found.values, problem.values) {
      // √(n k) u for a factorisation, and a few rounding errors for each reflection.
      #expect(abs(value - truth) <= 1e-14 * problem.values[0])
    }
    let single = problem.applied(in: .float32).materialized()
    let distance = try (single - meant).singularValueDecomposition().values[0]
    // Sums of 48 terms in the four reflections, each rounded to 2⁻²⁴.
    #expect(distance < 1e-5 * problem.values[0])
  }
}
