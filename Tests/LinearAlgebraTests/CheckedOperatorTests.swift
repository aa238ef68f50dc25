import LinearAlgebra
import TestSupport
import Testing

/// Applications of one or many operators: they are counted, split to a width, and verified.
@Suite struct CheckedOperatorTests {
  private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix<Double> {
    var generator = SeededGenerator(seed: seed)
    return generator.normalMatrix(rows: rows, columns: columns)
  }

  @Test func countsVectorsAndPasses() throws {
    let a = CheckedOperator(DenseOperator(random(4, 3, seed: 1)))
    _ = try a.products(.forward, of: random(5, 3, seed: 2), width: 5)
    _ = try a.products(.adjoint, of: random(2, 4, seed: 3), width: 1)
    #expect(a.applications[0].jvp == 5 && a.applications[0].vjp == 2)
    #expect(a.applications[0].passes == 3)
  }

  /// Blocks of any size, some empty, in applications of any width, of one or several operators, give each vector's
  /// product.
  @Test(arguments: [1, 2, 3, 7, 100], [ProductDirection.forward, .adjoint])
  func cutsBlocksToAWidth(width: Int, direction: ProductDirection) throws {
    let members = (0..<4).map { DenseOperator(random(6, 5, seed: UInt64($0))) }
    let strict = members.map { StrictOperator($0) }
    let a = CheckedOperator(OperatorBatch(strict))
    let length = direction == .forward ? 5 : 6
    for (active, sizes) in [
      ([0, 1, 2, 3], [4, 1, 7, 7]), ([1, 3], [3, 0]), ([2], [5]), ([2], [0]),
    ] {
      let blocks = sizes.enumerated().map { random($1, length, seed: 20 + UInt64($0)) }
      let found = try a.products(direction, of: blocks, active: active, width: width)
      for ((p, block), product) in zip(zip(active, blocks), found) {
        let wanted =
          direction == .forward ? members[p].apply(block) : members[p].applyAdjoint(block)
        #expect(product.rows == block.rows)
        // The same sums of at most 6 terms of size 10, possibly in another order.
        #expect((product - wanted).frobeniusNorm < 1e-13)
      }
    }
    #expect(strict.allSatisfy { $0.violations.isEmpty && $0.widest <= width })
    #expect(strict.map(\.count) == a.applications)
  }

  /// A tall operator is the given one or its adjoint; counts refer to the given one.
  @Test(arguments: [(6, 4), (4, 6), (5, 5)])
  func tallOperatorsAreTurned(rows: Int, columns: Int) throws {
    let given = StrictOperator(DenseOperator(random(rows, columns, seed: 3)))
    let a = CheckedOperator(given, isTall: true)
    #expect(a.inputDimension == min(rows, columns) && a.outputDimension == max(rows, columns))
    #expect(a.isTransposed == (rows < columns))
    let v = random(3, a.inputDimension, seed: 4)
    let wanted = a.isTransposed ? given.applyAdjoint(v) : given.apply(v)
    #expect(try a.products(.forward, of: v, width: 3) == wanted)
    #expect(a.applications[0].jvp == (a.isTransposed ? 0 : 3))
  }

  @Test(arguments: [1, 2, 3] as [UInt64], [false, true])
  func tellsARightAdjointFromAWrongOne(seed: UInt64, isTall: Bool) throws {
    let a = DenseOperator(random(30, 40, seed: 7))
    try CheckedOperator(a, isTall: isTall).checkAdjoint(seed: seed)
    try CheckedOperator(a.adjoint, isTall: isTall).checkAdjoint(seed: seed)
    try CheckedOperator(DenseOperator(Matrix(rows: 2, columns: 2))).checkAdjoint(seed: seed)
    let wrong = ClosureOperator(
      inputDimension: 40, outputDimension: 30,
      forward: { Array(a.apply(Matrix([$0])).elements) },
      adjoint: { Array(a.applyAdjoint(Matrix([$0.reversed()])).elements) })
    let error = try #require(throws: OperatorError.self) {
      try CheckedOperator(OperatorBatch([a, wrong]), isTall: isTall).checkAdjoint(seed: seed)
    }
    #expect(error.member == 1)
  }

  /// Errors name the member, and the direction of the operator as it was given.
  @Test(arguments: [false, true])
  func namesTheMemberThatIsNotFinite(isTall: Bool) throws {
    let sick = ClosureOperator(
      inputDimension: 6, outputDimension: 4, forward: { Array($0.prefix(4)) },
      adjoint: { $0 + [0, .infinity] })
    let well = DenseOperator(random(4, 6, seed: 1))
    let a = CheckedOperator(OperatorBatch([well, sick, sick]), isTall: isTall)
    let back: ProductDirection = isTall ? .forward : .adjoint
    let blocks = (0..<2).map { random(2, 4, seed: $0) }
    _ = try a.products(back, of: [blocks[0]], active: [0], width: 2)
    #expect(throws: OperatorError.notFinite(.adjoint, member: 2)) {
      try a.products(back, of: blocks, active: [0, 2], width: 2)
    }
  }
}
