import Foundation
import Lanczos
import LinearAlgebra
import Processes
import TestSupport
import Testing
import Weights

/// Solvers on vectors that a team holds between its members, compared with chosen spectra and with the same solver on whole
/// vectors.
@Suite struct TeamSolverTests {
  private static let kinds: [SolverKind] = [.block, .randomized]

  /// The answers of all members; every operator of a member is its own.
  private static func solve(
    _ members: Int, _ problem: Problem, _ solver: any PartialSVDSolver, single: Bool = false
  ) throws -> [SingularTriplets] {
    try ThreadTeam.run(members) { team in
      try Engine(threads: 1).use {
        let whole: any LinearOperator =
          single ? SinglePrecisionOperator(problem.makeOperator()) : problem.makeOperator()
        return try solver.partialSVD(
          of: RowDistributedOperator(whole, over: team), count: problem.count)
      }
    }
  }

  /// All members have the same answer, to the bit; it is the serial one up to rounding and took as many passes.
  @Test(arguments: kinds, [1, 2, 3, 5])
  func theAnswerDoesNotDependOnTheTeam(kind: SolverKind, members: Int) throws {
    let tolerance = 1e-9
    for problem in problems + repeatedProblems {
      let solver = kind.solver(tolerance: tolerance, seed: 5)
      let all = try Self.solve(members, problem, solver)
      let found = try all[0].requireConverged()
      let serial = try solver.partialSVD(of: problem.makeOperator(), count: problem.count)
      for other in all {
        #expect(other.singularValues == found.singularValues)
        #expect(other.leftVectors == found.leftVectors)
        #expect(other.rightVectors == found.rightVectors)
        #expect(other.certificate == found.certificate)
      }
      // |σ̂ − σ| ≤ ‖residual‖ ≤ tolerance · σ₁ for some σ of A (Weyl); the rest is rounding in the operator.
      let largest = problem.value(0)
      let slack = (tolerance + 1e-13) * largest + 1e-300
      for (i, value) in found.singularValues.enumerated() {
        #expect(abs(value - problem.value(i)) <= slack, "\(problem.testDescription): σ\(i)")
      }
      // 1e-12: a few hundred rounding errors of 1e-16 in products of length ≤ 150, with a margin.
      #expect(orthonormalityDefect(found.leftVectors) < 1e-12)
      #expect(orthonormalityDefect(found.rightVectors) < 1e-12)
      #expect(found.leftVectors.columns == problem.rows)
      #expect(found.rightVectors.columns == problem.columns)
      expectResiduals(found, of: problem)
      let (ours, theirs) = (found.report, serial.report)
      #expect(ours.applications.passes == theirs.applications.passes, "\(problem.testDescription)")
      #expect(ours.restarts == theirs.restarts && ours.solver == theirs.solver)
      let (c, d) = (try #require(found.certificate), try #require(serial.certificate))
      #expect(c.isProof == d.isProof && c.deflated == d.deflated && c.broughtIn == d.broughtIn)
      // A bound is found to 1/2⁸ of its distance from the Ritz values.
      #expect(abs(c.outside - d.outside) <= 1e-2 * d.outside + slack)
    }
  }

  private func expectResiduals(_ found: SingularTriplets, of problem: Problem) {
    let a = problem.makeOperator()
    let (w, x) = (a.apply(found.rightVectors), a.applyAdjoint(found.leftVectors))
    for (i, sigma) in found.singularValues.enumerated() {
      let forward = zip(w.row(i), found.leftVectors.row(i)).map { $0 - sigma * $1 }
      let backward = zip(x.row(i), found.rightVectors.row(i)).map { $0 - sigma * $1 }
      let norm = max(Matrix([forward]).frobeniusNorm, Matrix([backward]).frobeniusNorm)
      // The products are recomputed with another grouping: equal up to rounding of ‖A‖.
      #expect(abs(found.residualNorms[i] - norm) <= 1e-13 * problem.value(0) + 1e-300)
    }
  }

  /// In single precision, at the default tolerance, with a spectrum like that of a residual Jacobian.
  @Test(arguments: kinds, [2, 3])
  func singlePrecision(kind: SolverKind, members: Int) throws {
    let problem = Problem("power", jacobianLike(200), rows: 200, columns: 200, count: 10)
    let found = try Self.solve(members, problem, kind.solver(), single: true)[0].requireConverged()
    for (i, value) in found.singularValues.enumerated() {
      #expect(abs(value - problem.value(i)) <= 1.1e-5 * problem.value(0))
    }
  }

  /// Restarts compress the bases: the answer is the same with little room.
  @Test(arguments: [2, 5])
  func restarts(members: Int) throws {
    let problem = Problem(
      "slow", (0..<100).map { 1 - 0.009 * Double($0) }, rows: 110, columns: 100, count: 5)
    let solver = BlockLanczosSolver(tolerance: 1e-8, blockSize: 3, subspaceDimension: 20, seed: 1)
    let found = try Self.solve(members, problem, solver)[0].requireConverged()
    let serial = try solver.partialSVD(of: problem.makeOperator(), count: problem.count)
    #expect(found.report.restarts > 0 && found.report.restarts == serial.report.restarts)
    for (i, value) in found.singularValues.enumerated() {
      #expect(abs(value - problem.value(i)) <= 1.1e-8)
    }
  }

  /// A batch is solved together, each operator as on its own.
  @Test(arguments: [1, 2, 3])
  func batches(members: Int) throws {
    let chosen = [0.2, 0.9, 1.6].map { (rate: Double) -> Problem in
      let values = (0..<80).map { (i: Int) -> Double in 1 / (1 + Double(i) * rate) }
      return Problem("rate \(rate)", values, rows: 90, columns: 80, count: 4)
    }
    let solver = BlockLanczosSolver(blockSize: 4, width: 40, seed: 3)
    let together = try ThreadTeam.run(members) { team in
      try Engine(threads: 1).use {
        let batch = OperatorBatch(chosen.map { $0.makeOperator() })
        return try solver.partialSVDs(of: RowDistributedBatch(batch, over: team), count: 4)
      }
    }
    for (p, problem) in chosen.enumerated() {
      let alone = try Self.solve(members, problem, solver)
      for (rank, found) in together.enumerated() {
        #expect(found[p].singularValues == alone[rank].singularValues)
        #expect(found[p].rightVectors == alone[rank].rightVectors)
        #expect(found[p].report.applications.passes == alone[rank].report.applications.passes)
      }
    }
  }

  /// A less precise operator's triplets, refined with vectors in parts.
  @Test(arguments: [1, 3])
  func refinement(members: Int) throws {
    let problem = Problem("power", jacobianLike(50), rows: 50, columns: 60, count: 6)
    let rounded = SinglePrecisionOperator(problem.makeOperator())
    let rough = try BlockLanczosSolver(tolerance: 1e-5).partialSVD(of: rounded, count: 6)
    let all = try ThreadTeam.run(members) { team in
      try Engine(threads: 1).use {
        try TripletRefinement(tolerance: 1e-10).refined(
          rough, by: RowDistributedOperator(problem.makeOperator(), over: team))
      }
    }
    for found in all {
      #expect(found.report.isConverged && found.rightVectors.columns == 60)
      #expect(found.singularValues == all[0].singularValues)
      for (i, value) in found.singularValues.enumerated() {
        #expect(abs(value - problem.value(i)) <= 1.1e-10 * problem.value(0))
      }
    }
  }

  /// A product that is not finite in one member's part, and a wrong adjoint, are errors in every member.
  @Test func everyMemberThrows() throws {
    let n = 40
    let errors = try ThreadTeam.run(3) { team -> [String] in
      let sick = ClosureOperator(
        inputDimension: n, outputDimension: n, forward: { Array($0.dropLast()) + [.nan] },
        adjoint: { $0 })
      let wrong = ClosureOperator(
        inputDimension: n, outputDimension: n, forward: { $0 }, adjoint: { $0.reversed() })
      return [sick, wrong].map { a in
        let distributed = RowDistributedOperator(a, over: team)
        return
          "\(#expect(throws: OperatorError.self) { try BlockLanczosSolver().partialSVD(of: distributed, count: 3) }!)"
      }
    }
    #expect(errors[0][0].contains("NaN") && errors[0][1].contains("adjoint"))
    #expect(errors.allSatisfy { $0 == errors[0] })
  }

  /// Solvers of whole vectors refuse and name one that can be used; so does PARPACK without MPI's processes.
  @Test(arguments: [SolverKind.arpack, .dense, .parpack])
  func refusals(kind: SolverKind) throws {
    let a = Problem("power", jacobianLike(20), rows: 20, columns: 20, count: 3)
    _ = try ThreadTeam.run(2) { team in
      let distributed = RowDistributedOperator(a.makeOperator(), over: team)
      let error = try #require(throws: SolverError.self) {
        try kind.solver().partialSVD(of: distributed, count: 3)
      }
      #expect(error.description.contains(kind.rawValue) && error.remedy.contains("block"))
    }
    #expect(SolverKind.auto.chosen(for: 10, width: 20, sharesVectors: true) == .block)
    #expect(kind == .parpack || !kind.canShareVectors)
  }

  /// Sums per block do not grow with its vectors: reductions are few and large.
  @Test func reductionsPerProductAreFew() throws {
    let problem = Problem("power", jacobianLike(120), rows: 120, columns: 120, count: 10)
    let calls = try ThreadTeam.run(2) { team in
      try Engine(threads: 1).use {
        let found = try BlockLanczosSolver().partialSVD(
          of: RowDistributedOperator(problem.makeOperator(), over: team), count: problem.count)
        return Double(team.traffic.calls) / Double(found.report.applications.passes)
      }
    }
    // A product: its gather and the test of its numbers. A block: its norms, two projections, two factorisations of two
    // calls. Estimates, measurements and the search add a few per product.
    #expect(calls[0] < 16, "\(calls[0]) calls per product")
  }
}

/// Repeated values that a start block does not contain: the search has to find them.
private let repeatedProblems: [Problem] = [
  Problem("12 equal", copies(12, 5) + fall(4.5, 84), rows: 96, columns: 96, count: 10),
  Problem(
    "5 equal across the cut", fall(5, 8, to: 4) + copies(5, 3.9) + fall(3, 51), rows: 64,
    columns: 80, count: 10),
  Problem(
    "20 equal, then nothing", copies(20, 2) + copies(44, 0), rows: 64, columns: 64, count: 10),
]

private func copies(_ count: Int, _ value: Double) -> [Double] {
  Array(repeating: value, count: count)
}

private func fall(_ first: Double, _ count: Int, to last: Double = 0.1) -> [Double] {
  (0..<count).map { first + (last - first) * Double($0) / Double(count - 1) }
}
