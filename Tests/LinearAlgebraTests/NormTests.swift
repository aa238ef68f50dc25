import LinearAlgebra
import Testing

@Suite struct NormTests {
  /// Multiples of (3, 4): their norm is 5 of the same, to the rounding of two squares, a sum and a root.
  @Test(
    "norms keep their digits where squares overflow or vanish",
    arguments: [1, 0x1p-451, 0x1p-460, 0x1p-600, 0x1p-1000, 0x1p500, 0x1p520, 0x1p1000])
  func scales(unit: Double) {
    let row = Matrix([[3 * unit, 0, -4 * unit]])
    #expect(abs(row.rowNorms[0] / (5 * unit) - 1) <= 2 * .ulpOfOne)
  }

  /// Squares that vanish beside one that does not are no part of the rounded norm.
  @Test("small entries beside a large one")
  func mixed() {
    #expect(Matrix([[1, 0x1p-600, 0x1p-1060]]).rowNorms == [1])
    #expect(Matrix([[0x1p-449, 0x1p-540, 0x1p-540]]).rowNorms == [0x1p-449])
  }

  @Test("norms of nothing, and of what is not finite")
  func special() {
    #expect(Matrix<Double>(rows: 2, columns: 0).rowNorms == [0, 0])
    #expect(Matrix([[0.0, -0.0]]).rowNorms == [0])
    #expect(Matrix([[1, -Double.infinity]]).rowNorms == [.infinity])
    #expect(Matrix([[1, Double.nan]]).rowNorms[0].isNaN)
  }
}
