import Foundation
import Lanczos
import LinearAlgebra

/// Solves two problems for which other programs have published numbers, with every solver.
///
/// `solvers illc1850.mtx`: values of PROPACK's example (Larsen, http://sun.stanford.edu/~rmunk/PROPACK) to 1e-12 σ₁.
/// `solvers diagonal`: products for the 40 largest triplets of diag(1, …, 50000) to residual norms of 1e-5 σ₁.
@main struct Solvers {
  /// The published values of illc1850, by rank.
  private static let published: KeyValuePairs = [
    1: 2.123342642739710, 10: 1.874764369104708, 100: 1.494595628610336, 200: 1.239923235657378,
  ]

  static func main() throws {
    let arguments = CommandLine.arguments.dropFirst()
    guard let problem = arguments.first, arguments.count == 1 else {
      print("usage: solvers illc1850.mtx | diagonal")
      exit(64)
    }
    print(
      "solver        found     products  passes  of it certificate  residual/σ₁  seconds  "
        + (problem == "diagonal" ? "worst value" : "off by, of σ₁, at ranks 1, 10, 100, 200"))
    let right = try problem == "diagonal" ? diagonal() : illc1850(problem)
    exit(right ? 0 : 1)
  }

  private static func illc1850(_ path: String) throws -> Bool {
    let a = try SparseMatrix(matrixMarket: path)
    var isRight = true
    let solvers: [(String, any PartialSVDSolver)] = [
      // Values are off by the square of the residual norm over their gap: 1e-10 is enough for 1e-12.
      ("block", BlockLanczosSolver(tolerance: 1e-10)),
      ("arpack", ARPACKSolver(tolerance: 1e-10)),
      ("randomized", RandomizedSolver(tolerance: 1e-10, iterations: 1000)),
      ("dense", DenseSolver(tolerance: 1e-10)),
    ]
    for (name, solver) in solvers {
      let (found, line) = try solve(name, solver, a, count: 200)
      let errors = published.map { rank, value in
        abs(found.singularValues[rank - 1] - value) / found.singularValues[0]
      }
      isRight = isRight && errors.allSatisfy { $0 <= 1e-12 }
      print(line, errors.map { String(format: "%.1e", $0) }.joined(separator: " "))
    }
    return isRight
  }

  private static func diagonal() throws -> Bool {
    // The randomized solver needs thousands of iterations here: neighbouring values differ by 2e-5 of their size.
    let (n, count) = (50_000, 40)
    let a = CountingDiagonal(n)
    var isRight = true
    for (name, solver) in [
      ("block", BlockLanczosSolver(tolerance: 1e-5, restarts: 1000) as any PartialSVDSolver),
      ("arpack", ARPACKSolver(tolerance: 1e-5, restarts: 1000)),
    ] {
      let (found, line) = try solve(name, solver, a, count: count)
      let worst = found.singularValues.enumerated().map { abs($1 - Double(n - $0)) }.max()!
      isRight = isRight && found.report.isConverged && worst <= 1e-5 * Double(n)
      print(line, String(format: "%.1e", worst))
    }
    return isRight
  }

  /// The triplets and their cost; the residual norms are measured again: ‖(A v − σ u, Aᵀ u − σ v)‖.
  private static func solve(
    _ name: String, _ solver: any PartialSVDSolver, _ a: any LinearOperator, count: Int
  ) throws -> (SingularTriplets, String) {
    let start = ContinuousClock.now
    let found = try solver.partialSVD(of: a, count: count)
    let time = ContinuousClock.now - start
    let (av, au) = (a.apply(found.rightVectors), a.applyAdjoint(found.leftVectors))
    func squared(_ x: ArraySlice<Double>, _ y: ArraySlice<Double>, _ σ: Double) -> Double {
      zip(x, y).reduce(0) { $0 + ($1.0 - σ * $1.1) * ($1.0 - σ * $1.1) }
    }
    let residual = found.singularValues.enumerated().map { i, σ in
      (squared(av.row(i), found.leftVectors.row(i), σ)
        + squared(au.row(i), found.rightVectors.row(i), σ)).squareRoot()
    }.max()!
    let used = found.report.applications, probing = found.certificate?.applications
    let line = [
      name.padding(toLength: 12, withPad: " ", startingAt: 0),
      String(
        format: "%4d of %d %9d %7d %17d %12.1e %8.1f ", found.report.converged, count,
        used.jvp + used.vjp, used.passes, (probing?.jvp ?? 0) + (probing?.vjp ?? 0),
        residual / found.singularValues[0], time / .seconds(1)),
    ].joined(separator: " ")
    return (found, line)
  }
}
