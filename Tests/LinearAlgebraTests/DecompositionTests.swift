import LinearAlgebra
import TestSupport
import Testing

/// ‖R Rᵀ − I‖_max, the deviation of rows from orthonormality.
private func orthonormalityDefect(_ r: Matrix<Double>) -> Double {
  (Matrix.product(r, .none, r, .transposed) - .identity(r.rows)).elements.map(abs).max() ?? 0
}

private func random(_ m: Int, _ n: Int, seed: UInt64 = 1) -> Matrix<Double> {
  var generator = SeededGenerator(seed: seed)
  return generator.normalMatrix(rows: m, columns: n)
}

/// The results of LAPACK satisfy their definitions. 1e-12: about a hundred rounding errors at sizes ≤ 60, with a
/// margin.
@Suite struct DecompositionTests {
  @Test(
    arguments: [(1, 1), (1, 7), (7, 1), (20, 20), (30, 12), (12, 30)],
    Matrix<Double>.SVDRoutine.allCases)
  func singularValueDecompositionRestoresTheMatrix(
    shape: (Int, Int), routine: Matrix<Double>.SVDRoutine
  ) throws {
    let a = random(shape.0, shape.1)
    let (u, s, v) = try a.singularValueDecomposition(by: routine)
    #expect(s == s.sorted(by: >) && s.allSatisfy { $0 >= 0 })
    #expect(orthonormalityDefect(u) < 1e-12 && orthonormalityDefect(v) < 1e-12)
    var scaled = v
    for i in 0..<v.rows { for j in 0..<v.columns { scaled[i, j] *= s[i] } }
    #expect((Matrix.product(u, .transposed, scaled) - a).frobeniusNorm < 1e-12 * s[0])
    let alone = try a.singularValues(by: routine)
    #expect(zip(s, alone).allSatisfy { abs($0 - $1) < 1e-12 * s[0] } && alone.count == s.count)
  }

  /// Divide and conquer does not converge on some finite matrices, which ones differs by processor; of a NaN, QR iteration may never
  /// return.
  @Test func qrIterationIsTriedAfterDivideAndConquerUnlessANumberIsNotFinite() throws {
    for isFinite in [true, false] {
      var tried: [Matrix<Double>.SVDRoutine] = []
      let found = Result {
        try Matrix<Double>.firstConverged { routine throws(LAPACKError) in
          tried.append(routine)
          guard routine != .dgesdd else {
            throw LAPACKError(routine: "dgesdd", info: 1, isFinite: isFinite)
          }
          return 7
        }
      }
      #expect(tried == (isFinite ? [.dgesdd, .dgesvd] : [.dgesdd]))
      #expect((try? found.get()) == (isFinite ? 7 : nil))
    }
  }

  @Test func nanIsNamed() {
    var a = random(5, 4)
    a[2, 3] = .nan
    for decompose in [{ _ = try a.singularValueDecomposition() }, { _ = try a.singularValues() }] {
      #expect { try decompose() } throws: { "\($0)".contains("returned NaN or infinity") }
    }
  }

  @Test func emptyAndZeroMatricesHaveDecompositions() throws {
    let empty = try Matrix<Double>(rows: 0, columns: 4).singularValueDecomposition()
    #expect(empty.values.isEmpty && empty.right.columns == 4)
    let zero = try Matrix<Double>(rows: 3, columns: 5).singularValueDecomposition()
    #expect(zero.values == [0, 0, 0])
    #expect(orthonormalityDefect(zero.left) < 1e-14 && orthonormalityDefect(zero.right) < 1e-14)
  }

  @Test(arguments: [(1, 1), (3, 9), (12, 12)])
  func orthonormalizedRowsSpanTheRows(shape: (Int, Int)) {
    let a = random(shape.0, shape.1)
    let q = a.orthonormalizedRows()
    #expect(orthonormalityDefect(q) < 1e-12)
    let onto = Matrix.product(Matrix.product(a, .none, q, .transposed), .none, q)
    #expect((onto - a).frobeniusNorm < 1e-12 * a.frobeniusNorm)
  }

  @Test func dependentRowsStillYieldAnOrthonormalBasis() {
    let q = Matrix([[1.0, 2, 3], [2, 4, 6], [0, 0, 0]]).orthonormalizedRows()
    #expect(orthonormalityDefect(q) < 1e-14)
  }

  @Test(arguments: [(1, 1), (2, 1), (17, 17), (60, 7)])
  func largestEigenpairsAreEigenpairsAndTheLargest(n: Int, count: Int) throws {
    let b = random(n, n)
    let a = Matrix.product(b, .none, b, .transposed)
    let (values, vectors) = try a.largestEigenpairs(count)
    #expect(values == values.sorted(by: >))
    #expect(orthonormalityDefect(vectors) < 1e-12)
    var scaled = vectors
    for i in 0..<count { for j in 0..<n { scaled[i, j] *= values[i] } }
    #expect((Matrix.product(vectors, .none, a) - scaled).frobeniusNorm < 1e-12 * values[0])
    // The eigenvalues of B Bᵀ are the squared singular values of B.
    let singular = try b.singularValueDecomposition().values
    for i in 0..<count { #expect(abs(values[i] - singular[i] * singular[i]) < 1e-12 * values[0]) }
  }
}

/// The identity up to rounding: all values form one cluster, and the tridiagonal form falls apart.
@Test(arguments: [3, 10, 12, 24, 40])
func eigenpairsOfWhatIsNearlyTheIdentity(n: Int) throws {
  for seed in 0..<60 as Range<UInt64> {
    var generator = SeededGenerator(seed: seed)
    let q = generator.normalMatrix(rows: n, columns: n).orthonormalizedRows()
    let a = Matrix.product(q, .none, q, .transposed)
    for count in [1, n / 2, n] {
      let (values, vectors) = try a.largestEigenpairs(count)
      #expect(values.count == count && vectors.rows == count)
      #expect(values == values.sorted(by: >))
      #expect(orthonormalityDefect(vectors) < 1e-12)
      // About a hundred rounding errors of numbers of order one.
      #expect((Matrix.product(vectors, .none, a) - vectors).frobeniusNorm < 1e-13 * Double(n))
    }
  }
}

/// Half of the product is computed, the other half follows by symmetry.
@Test(arguments: [(1, 1), (3, 9), (9, 3), (0, 4), (4, 0)])
func gramMatricesAreProducts(shape: (Int, Int)) {
  let a = random(shape.0, shape.1)
  for operation in [Transposition.none, .transposed] {
    let wanted = Matrix.product(a, operation, a, operation == .none ? .transposed : .none)
    // Sums of at most nine products of numbers of order one, in another order.
    #expect((a.gram(operation) - wanted).frobeniusNorm <= 1e-14 * max(1, wanted.frobeniusNorm))
  }
}

/// Operators, and the random numbers they are tested with.
@Suite struct OperatorAlgebraTests {
  @Test(arguments: [(5, 9), (9, 5), (70, 66), (1, 1)], [1, 7, 64])
  func materializedGivesTheMatrixBack(shape: (Int, Int), block: Int) {
    let a = DenseOperator(random(shape.0, shape.1))
    #expect((a.materialized(block: block) - a.matrix).frobeniusNorm < 1e-14 * 100)
    #expect((a.adjoint.materialized() - a.matrix.transposed).frobeniusNorm < 1e-14 * 100)
  }

  @Test func blocksEqualSingleVectors() {
    let a = DenseOperator(random(8, 6))
    let v = random(5, 6, seed: 2)
    let together = a.apply(v)
    for i in 0..<5 {
      let alone = a.apply(Matrix([Array(v.row(i))]))
      #expect((alone - Matrix([Array(together.row(i))])).frobeniusNorm < 1e-14)
    }
  }

  @Test func generatorsAreSeededAndStandardNormal() {
    var (first, again, other) = (
      SeededGenerator(seed: 1), SeededGenerator(seed: 1), SeededGenerator(seed: 2)
    )
    let a = first.normalMatrix(rows: 100, columns: 100)
    #expect(a == again.normalMatrix(rows: 100, columns: 100))
    #expect(a != other.normalMatrix(rows: 100, columns: 100))
    // 10⁴ samples: the mean has deviation 10⁻², the variance √2 · 10⁻²; allow five of these.
    let mean = a.elements.reduce(0, +) / 1e4
    let variance = a.elements.reduce(0) { $0 + $1 * $1 } / 1e4
    #expect(abs(mean) < 0.05 && abs(variance - 1) < 0.08)
  }

  /// The published first outputs of SplitMix64 for seed 1234567.
  @Test func splitMixIsTheOneThatIsPublished() {
    var generator = SeededGenerator(seed: 1_234_567)
    #expect(generator.next() == 6_457_827_717_110_365_317)
    #expect(generator.next() == 3_203_168_211_198_807_973)
  }

  @Test func normsSurviveExtremes() {
    #expect(abs(Matrix([[3e200, 4e200]]).frobeniusNorm / 5e200 - 1) < 1e-15)
    #expect(Matrix([[0.0, 0]]).frobeniusNorm == 0)
    #expect(Matrix([[Double.infinity, 1]]).frobeniusNorm == .infinity)
  }
}
