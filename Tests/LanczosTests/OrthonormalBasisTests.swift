import Lanczos
import LinearAlgebra
import Testing

/// The basis that a Krylov method orthogonalises against. 1e-12: about a hundred rounding errors at sizes ≤ 60, with
/// a margin.
struct OrthonormalBasisTests {
  @Test(arguments: [1, 4, 7])
  func aBasisGrowsToTheWholeSpaceAndExplainsEveryBlock(width: Int) {
    let n = 20
    var generator = SeededGenerator(seed: 3)
    var basis = OrthonormalBasis(dimension: n)
    while basis.count < n {
      let before = basis.vectors(from: 0)
      var block = generator.normalMatrix(rows: width, columns: n)
      if width > 1 {  // one row within the span of another and of the basis
        for j in 0..<n { block[1, j] = 2 * block[0, j] + (before.rows > 0 ? before[0, j] : 0) }
      }
      let (onto, beyond) = basis.append(block, using: &generator)
      #expect(basis.count == min(before.rows + width, n))
      let new = basis.vectors(from: before.rows)
      let parts = [Matrix.product(onto, .none, before), .product(beyond, .none, new)]
      #expect((block - parts[0] - parts[1]).frobeniusNorm < 1e-12 * block.frobeniusNorm)
      #expect(orthonormalityDefect(basis.vectors(from: 0)) < 1e-13)
    }
  }

  /// Zero rows and rows within the basis add random directions that no row contains.
  @Test func aBasisReplacesWhatIsNotNew() {
    var generator = SeededGenerator(seed: 3)
    var basis = OrthonormalBasis(dimension: 9)
    basis.append(Matrix(rows: 2, columns: 9), using: &generator)
    #expect(basis.count == 2 && orthonormalityDefect(basis.vectors(from: 0)) < 1e-14)
    let (onto, beyond) = basis.append(basis.vectors(from: 0), using: &generator)
    #expect((onto - .identity(2)).frobeniusNorm < 1e-14)
    #expect(beyond.frobeniusNorm < 1e-14)
    #expect(basis.count == 4 && orthonormalityDefect(basis.vectors(from: 0)) < 1e-14)
  }

  @Test func aBasisCompressesToCombinations() {
    var generator = SeededGenerator(seed: 4)
    var basis = OrthonormalBasis(dimension: 12)
    basis.append(generator.normalMatrix(rows: 5, columns: 12), using: &generator)
    let (last, all) = (basis.vectors(from: 3), basis.vectors(from: 0))
    let p = generator.normalMatrix(rows: 2, columns: 3).orthonormalizedRows()
    let expected = Matrix.product(p, .none, all.prefix(3))
    basis.compress(p)
    #expect(basis.count == 4)
    #expect((basis.vectors(from: 0).prefix(2) - expected).frobeniusNorm < 1e-14)
    #expect(basis.vectors(from: 2) == last)
  }
}
