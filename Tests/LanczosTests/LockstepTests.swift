import Lanczos
import LinearAlgebra
import TestSupport
import Testing

/// A group that counts joint applications and holds the solver to the protocol.
private final class WatchedGroup: LockstepOperator {
  private let base: LockstepGroup
  var passes = 0
  var widest = 0
  var activeSizes: [Int] = []
  var violations: [String] = []

  init(_ members: [any LinearOperator]) { base = LockstepGroup(members) }

  var problems: Int { base.problems }
  var inputDimension: Int { base.inputDimension }
  var outputDimension: Int { base.outputDimension }

  func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, active: [Int]) {
    watch(v.count, inputDimension, &y, outputDimension, b, active)
    base.apply(v, into: &y, vectors: b, active: active)
  }

  func applyAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) {
    watch(u.count, outputDimension, &x, inputDimension, b, active)
    base.applyAdjoint(u, into: &x, vectors: b, active: active)
  }

  private func watch(
    _ count: Int, _ from: Int, _ y: inout MutableSpan<Double>, _ to: Int, _ b: Int, _ active: [Int]
  ) {
    passes += 1
    widest = max(widest, b * active.count)
    activeSizes.append(active.count)
    if active.isEmpty || active != active.sorted() { violations.append("active \(active)") }
    if count != active.count * b * from || y.count != active.count * b * to {
      violations.append("shapes")
    }
    for i in y.indices { y[i] = .nan }
  }
}

@Suite struct LockstepTests {
  private func members(_ r: Int, rows: Int = 90, columns: Int = 80) -> [DenseOperator] {
    (0..<r).map { p in
      // Different decays, so that the problems end at different times.
      let values = (0..<80).map { 1 / (1 + Double($0) * (0.2 + 0.7 * Double(p))) }
      return operatorWithSpectrum(values, rows: rows, columns: columns, seed: UInt64(p))
    }
  }

  /// A problem of a group is solved as it is alone with the same block: the same bits.
  @Test(arguments: [2, 3, 5], [(90, 80), (80, 90)])
  func equalsSingleSolves(r: Int, shape: (Int, Int)) throws {
    let group = members(r, rows: shape.0, columns: shape.1)
    let solver = BlockLanczosSolver(blockSize: 4, seed: 3)
    let together = try solver.partialSVDs(of: LockstepGroup(group), count: 4)
    #expect(together.count == r)
    for (p, found) in together.enumerated() {
      let alone = try solver.partialSVD(of: group[p], count: 4)
      #expect(found.report.isConverged)
      #expect(found.singularValues == alone.singularValues)
      #expect(found.leftVectors == alone.leftVectors)
      #expect(found.rightVectors == alone.rightVectors)
      #expect(found.report.applications == alone.report.applications)
    }
  }

  @Test(arguments: [1, 4, 16, 40])
  func sharesPassesAndShrinksItsBlocks(r: Int) throws {
    let group = WatchedGroup(members(r))
    let found = try BlockLanczosSolver().partialSVDs(of: group, count: 3)
    #expect(group.violations.isEmpty)
    #expect(group.widest <= max(32, r))
    #expect(found.allSatisfy { $0.report.isConverged })
    let passes = found.map(\.report.applications.passes)
    // Shared, not summed: no problem takes part in more passes than there were.
    #expect(passes.max()! <= group.passes)
    if r > 1 {
      #expect(group.passes < passes.reduce(0, +))
      #expect(group.activeSizes.contains { $0 < r }, "a problem that is done is left out")
    }
  }

  @Test func knowsTheProblemThatIsNotFinite() throws {
    let sick = ClosureOperator(
      inputDimension: 80, outputDimension: 90, forward: { $0 + Array(repeating: .nan, count: 10) },
      adjoint: { Array($0.prefix(80)) })
    let group = LockstepGroup(members(2) as [any LinearOperator] + [sick])
    let error = try #require(throws: SolverError.self) {
      try BlockLanczosSolver().partialSVDs(of: group, count: 3)
    }
    #expect(error == .notFinite(product: "A v", problem: 2) && error.problem == 2)
  }
}
