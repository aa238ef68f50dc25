import LinearAlgebra
import Processes
import TestSupport
import Testing

/// Vectors that a team holds between its members, compared with whole ones. 1e-13: a hundred rounding errors in sums of at
/// most 40 numbers of order 1, with a margin.
@Suite struct VectorSpaceTests {
  private static func inTeam(
    _ members: Int, dimension n: Int, _ body: @escaping @Sendable (VectorSpace) throws -> Void
  ) throws {
    _ = try ThreadTeam.run(members) { team in
      let held = Partition(of: n, parts: team.size).counts[team.rank]
      try body(VectorSpace(holding: held, in: TeamInnerProducts(team)))
    }
  }

  @Test(arguments: [1, 2, 3, 5], [3, 7, 40])
  func sumsAreThoseOfWholeVectors(members: Int, n: Int) throws {
    var generator = SeededGenerator(seed: 1)
    let a = generator.normalMatrix(rows: 4, columns: n)
    let b = generator.normalMatrix(rows: 2, columns: n)
    let inner = Matrix.product(a, .none, b, .transposed)
    let norms = (0..<4).map { Matrix([Array(a.row($0))]).frobeniusNorm }
    try Self.inTeam(members, dimension: n) { space in
      #expect(space.dimension == n && space.gathered(space.part(of: a)) == a)
      #expect((space.inner(space.part(of: a), space.part(of: b)) - inner).frobeniusNorm < 1e-13)
      for (ours, theirs) in zip(space.norms(space.part(of: a)), norms) {
        #expect(abs(ours - theirs) < 1e-13)
      }
      // Squares of these would overflow.
      let large = Matrix(rows: 4, columns: n, elements: a.elements.map { $0 * 0x1p600 })
      for (ours, theirs) in zip(space.norms(space.part(of: large)), norms) {
        #expect(abs(ours * 0x1p-600 - theirs) < 1e-13)
      }
    }
  }

  /// Random vectors do not depend on who holds them.
  @Test(arguments: [1, 2, 3, 5])
  func randomVectorsAreThoseOfTheWholeSpace(members: Int) throws {
    var generator = SeededGenerator(seed: 5)
    let whole = generator.normalMatrix(rows: 3, columns: 8)
    try Self.inTeam(members, dimension: 8) { space in
      var generator = SeededGenerator(seed: 5)
      #expect(space.gathered(space.normalVectors(3, using: &generator)) == whole)
    }
  }

  /// Coordinates keep inner products, those of dependent vectors and of more vectors than elements too, and orthonormal
  /// coordinates are those of orthonormal vectors.
  @Test(arguments: [1, 2, 3, 5], [3, 7, 40])
  func coordinatesAreAnIsometry(members: Int, n: Int) throws {
    var generator = SeededGenerator(seed: 1)
    let b = 4
    var y = generator.normalMatrix(rows: b, columns: n)
    for j in 0..<n { (y[2, j], y[3, j]) = (y[0, j] - 2 * y[1, j], 0) }
    let gram = y.gram()
    try Self.inTeam(members, dimension: n) { [y] space in
      let compressed = space.compressed(space.part(of: y))
      let l = compressed.coordinates
      #expect((l.gram() - gram).frobeniusNorm < 1e-13 * Double(n))
      #expect((space.gathered(compressed.expanded(l)) - y).frobeniusNorm < 1e-13)
      var generator = SeededGenerator(seed: 9)
      let q = generator.normalMatrix(rows: min(b, l.columns), columns: l.columns)
        .orthonormalizedRows()
      #expect(orthonormalityDefect(space.gathered(compressed.expanded(q))) < 1e-13)
    }
  }
}
