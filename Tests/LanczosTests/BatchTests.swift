import Lanczos
import LinearAlgebra
import TestSupport
import Testing

/// A batch that counts joint applications and checks that the solver respects the protocol.
private final class WatchedBatch: BatchedOperator {
  private let base: OperatorBatch
  var passes = 0
  var widest = 0
  var activeSizes: [Int] = []
  var violations: [String] = []

  init(_ members: [any LinearOperator]) { base = OperatorBatch(members) }

  var batch: Int { base.batch }
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

@Suite struct BatchTests {
  private func members(_ r: Int, rows: Int = 90, columns: Int = 80) -> [DenseOperator] {
    (0..<r).map { p in
      // Different rates of decay, so that the solves end at different times.
      let values = (0..<80).map { 1 / (1 + Double($0) * (0.2 + 0.7 * Double(p))) }
      return operatorWithSpectrum(values, rows: rows, columns: columns, seed: UInt64(p))
    }
  }

  /// The answer for an operator in a batch is that of a single solve with the same block size, to the bit.
  @Test(arguments: [2, 3, 5], [(90, 80), (80, 90)])
  func equalsSingleSolves(r: Int, shape: (Int, Int)) throws {
    let operators = members(r, rows: shape.0, columns: shape.1)
    // Wide enough to measure residual norms of 8 vectors in one application, in the batch and alone.
    let solver = BlockLanczosSolver(blockSize: 4, width: 40, seed: 3)
    let together = try solver.partialSVDs(of: OperatorBatch(operators), count: 4)
    #expect(together.count == r)
    for (p, found) in together.enumerated() {
      let alone = try solver.partialSVD(of: operators[p], count: 4)
      #expect(found.report.isConverged)
      #expect(found.singularValues == alone.singularValues)
      #expect(found.leftVectors == alone.leftVectors)
      #expect(found.rightVectors == alone.rightVectors)
      // The number of vectors may be larger: a shorter block is padded to the length of the others.
      #expect(found.report.applications.passes == alone.report.applications.passes)
    }
  }

  @Test(arguments: [1, 4, 16, 40])
  func sharesPassesAndShrinksItsBlocks(r: Int) throws {
    let batch = WatchedBatch(members(r))
    let found = try BlockLanczosSolver().partialSVDs(of: batch, count: 3)
    #expect(batch.violations.isEmpty)
    #expect(batch.widest <= max(32, r))
    #expect(found.allSatisfy { $0.report.isConverged })
    let passes = found.map(\.report.applications.passes)
    // Passes are shared, not summed: no operator takes part in more passes than there were.
    #expect(passes.max()! <= batch.passes)
    if r > 1 {
      #expect(batch.passes < passes.reduce(0, +))
      #expect(batch.activeSizes.contains { $0 < r }, "a finished operator is left out")
    }
  }

  /// Every solver answers for a batch, together or in turn, and reports which operator caused an error.
  @Test(arguments: SolverKind.allCases)
  func everySolverTakesBatches(kind: SolverKind) throws {
    let operators = members(3)
    let found = try kind.solver(blockSize: 4).partialSVDs(of: OperatorBatch(operators), count: 3)
    #expect(found.count == 3)
    for (a, triplets) in zip(operators, found) {
      let alone = try kind.solver(blockSize: 4).partialSVD(of: a, count: 3)
      #expect(triplets.singularValues == alone.singularValues)
      #expect(triplets.report.applications == alone.report.applications)
    }
    let sick = ClosureOperator(
      inputDimension: 80, outputDimension: 90, forward: { $0 + Array(repeating: .nan, count: 10) },
      adjoint: { Array($0.prefix(80)) })
    let batch = OperatorBatch(members(2) as [any LinearOperator] + [sick])
    let failure = try #require(throws: MemberError.self) {
      try kind.solver().partialSVDs(of: batch, count: 3)
    }
    #expect(failure.member == 2)
    guard case .notFinite(.forward, _)? = failure.error as? OperatorError else {
      Issue.record("\(failure)")
      return
    }
  }

  /// For nearly all triplets every basis grows to the whole space, so the operators are solved one after another.
  @Test(arguments: [79, 80])
  func nearlyFullRequestsAreSolvedInTurn(count: Int) throws {
    let batch = WatchedBatch(members(3))
    let found = try BlockLanczosSolver().partialSVDs(of: batch, count: count)
    #expect(batch.violations.isEmpty && batch.activeSizes.allSatisfy { $0 == 1 })
    #expect(found.allSatisfy { $0.singularValues.count == count && $0.report.isConverged })
  }
}
