import Alignment
import LinearAlgebra
import Testing

@Suite struct SubspaceOverlapTests {
  @Test func equalSpacesOverlapWhollyWhateverTheirBasis() {
    let (d, k) = (18, 5)
    var generator = SeededGenerator(seed: 1)
    let basis = generator.normalMatrix(rows: k, columns: d).orthonormalizedRows()
    let rotation = generator.normalMatrix(rows: k, columns: k).orthonormalizedRows()
    let turned = Matrix<Double>.product(rotation, .none, basis)
    #expect(close(SubspaceOverlap.overlap(basis, turned, rank: k), 1, 1e-13))
  }

  @Test func orthogonalSpacesDoNotOverlap() {
    let i = Matrix<Double>.identity(6)
    let shifted = Matrix(rows: 3, columns: 6, elements: Array(i.elements[18...]))
    #expect(SubspaceOverlap.overlap(i, shifted, rank: 3) == 0)
  }

  /// d = 40, K = 8: a single draw varies by about 0.02 around 0.2, so 300 draws give the mean to 0.6 %.
  @Test func independentSpacesOverlapByChance() {
    let (d, k, draws) = (40, 8, 300)
    var generator = SeededGenerator(seed: 2)
    var mean = 0.0
    for _ in 0..<draws {
      let a = generator.normalMatrix(rows: k, columns: d).orthonormalizedRows()
      let b = generator.normalMatrix(rows: k, columns: d).orthonormalizedRows()
      let overlap = SubspaceOverlap.overlap(a, b, rank: k)
      #expect(overlap >= 0 && overlap <= 1)
      #expect(close(SubspaceOverlap.overlap(b, a, rank: k), overlap, 1e-13))
      mean += overlap / Double(draws)
    }
    #expect(close(mean, SubspaceOverlap.chance(rank: k, width: d), 0.02))
  }

  @Test func bothSidesOfTripletsAreCompared() {
    var generator = SeededGenerator(seed: 3)
    let i = RandomJacobian(decaying(10), width: 10, generator: &generator)
    let j = RandomJacobian(
      u: i.triplets.leftVectors, values: decaying(10),
      v: generator.normalMatrix(rows: 10, columns: 10).orthonormalizedRows())
    let overlap = SubspaceOverlap(i.triplets, j.triplets, rank: 4)
    #expect(close(overlap.left, 1, 1e-13))
    #expect(overlap.right < 0.99)
    // The whole space overlaps completely with itself.
    #expect(close(SubspaceOverlap(i.triplets, j.triplets, rank: 10).right, 1, 1e-13))
  }
}

@Suite struct SpectrumShapeTests {
  @Test func gapsAreRelativeToTheLargest() {
    #expect(SpectrumShape.relativeGaps([4, 3, 3, 1]) == [0.25, 0, 0.5])
    #expect(SpectrumShape.relativeGaps([2]) == [])
    #expect(SpectrumShape.relativeGaps([0, 0]) == nil)
    #expect(SpectrumShape.relativeGaps([]) == nil)
  }

  @Test func aHyperbolaIsALine() throws {
    let layers = Array(1...12)
    let leading = layers.map { 1 / (0.3 + 0.05 * Double($0)) }
    for start in [1, 4, 10] {
      let fit = try #require(
        SpectrumShape.inverseLeadingFit(leading: leading, layers: layers, from: start))
      #expect(close(fit.slope, 0.05, 1e-12) && close(fit.intercept, 0.3, 1e-12))
      #expect(close(try #require(fit.rSquared), 1, 1e-12))
      #expect(fit.count == 13 - start)
    }
    #expect(SpectrumShape.inverseLeadingFit(leading: leading, layers: layers, from: 11) == nil)
    #expect(SpectrumShape.inverseLeadingFit(leading: [1, 0, 2], layers: [1, 2, 3]) == nil)
  }
}
