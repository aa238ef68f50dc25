import LinearAlgebra
import Processes
import TestSupport
import Testing

/// Operators on vectors that a team holds between its members. Some parts are larger than others, and some are empty.
@Suite struct RowDistributedOperatorTests {
  /// (rows, columns), also fewer than members.
  static let shapes = [(17, 12), (12, 17), (3, 2), (1, 1)]

  @Test(arguments: [1, 2, 3, 5], shapes)
  func productsAreTheRowsOfThoseOfWholeVectors(members: Int, shape: (Int, Int)) throws {
    let (m, n) = shape
    let b = 3
    var generator = SeededGenerator(seed: 1)
    let (v, u) = (
      generator.normalMatrix(rows: b, columns: n), generator.normalMatrix(rows: b, columns: m)
    )
    let matrix = generator.normalMatrix(rows: m, columns: n)
    let (av, atu) = (DenseOperator(matrix).apply(v), DenseOperator(matrix).applyAdjoint(u))
    let counts = try ThreadTeam.run(members) { team in
      let a = RowDistributedOperator(DenseOperator(matrix), over: team)
      let inputs = VectorSpace(holding: a.inputDimension, in: a.innerProducts)
      let outputs = VectorSpace(holding: a.outputDimension, in: a.innerProducts)
      #expect(inputs.dimension == n && outputs.dimension == m)
      #expect(inputs.ranges == Partition(of: n, parts: members).ranges)
      #expect(a.apply(inputs.part(of: v)) == outputs.part(of: av))
      let before = team.traffic.bytes
      #expect(a.applyAdjoint(outputs.part(of: u)) == inputs.part(of: atu))
      return team.traffic.bytes - before
    }
    // What a product sends: b vectors of m numbers, each number once.
    #expect(counts.reduce(0, +) == 8 * b * m)
  }

  /// Two of three operators take part in the application.
  @Test(arguments: [1, 2, 3, 5])
  func batchesAreDividedAlike(members: Int) throws {
    let (m, n, b) = (7, 11, 2)
    var generator = SeededGenerator(seed: 2)
    let matrices = (0..<3).map { _ in generator.normalMatrix(rows: m, columns: n) }
    let v = generator.normalMatrix(rows: 2 * b, columns: n)
    _ = try ThreadTeam.run(members) { team in
      let a = RowDistributedBatch(OperatorBatch(matrices.map { DenseOperator($0) }), over: team)
      let inputs = VectorSpace(holding: a.inputDimension, in: a.innerProducts)
      let outputs = VectorSpace(holding: a.outputDimension, in: a.innerProducts)
      #expect(a.batch == 3)
      var y = Matrix<Double>(rows: 2 * b, columns: outputs.held.count)
      var span = y.elements.mutableSpan
      a.apply(inputs.part(of: v).elements.span, into: &span, vectors: b, active: [0, 2])
      for (place, p) in [0, 2].enumerated() {
        let rows = place * b..<(place + 1) * b
        let expected = DenseOperator(matrices[p]).apply(v.rows(rows))
        #expect(y.rows(rows) == outputs.part(of: expected))
        #expect(a.member(p).apply(inputs.part(of: v.rows(rows))) == outputs.part(of: expected))
      }
    }
  }

  /// Composite operators belong to the team of their parts.
  @Test func compositionsKeepTheTeam() throws {
    var generator = SeededGenerator(seed: 3)
    let matrix = generator.normalMatrix(rows: 8, columns: 8)
    let v = generator.normalMatrix(rows: 2, columns: 8)
    let whole = DenseOperator(matrix)
    let expected = (2 * (whole.adjoint * whole) + whole.plusIdentity).apply(v)
    _ = try ThreadTeam.run(3) { team in
      let a = RowDistributedOperator(DenseOperator(matrix), over: team)
      let composite = 2 * (a.adjoint * a) + a.plusIdentity
      let space = VectorSpace(holding: composite.inputDimension, in: composite.innerProducts)
      #expect(space.dimension == 8 && !space.isWhole)
      #expect(composite.apply(space.part(of: v)) == space.part(of: expected))
    }
  }
}
