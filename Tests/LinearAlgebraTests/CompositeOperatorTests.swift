import LinearAlgebra
import TestSupport
import Testing

/// A composite operator and the matrix that it must equal.
struct MadeOperator: Sendable, CustomTestStringConvertible {
  let name: String
  /// Creates the operator from members that record their applications.
  let make: @Sendable (_ watched: (Matrix<Double>) -> any LinearOperator) -> any LinearOperator
  let matrix: Matrix<Double>
  /// The number of members' products that one vector costs.
  let cost: Int
  var testDescription: String { name }
}

private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix<Double> {
  var generator = SeededGenerator(seed: seed)
  return generator.normalMatrix(rows: rows, columns: columns)
}

private func combination(_ terms: [(Double, Matrix<Double>)]) -> Matrix<Double> {
  var sum = Matrix<Double>(rows: terms[0].1.rows, columns: terms[0].1.columns)
  for (c, a) in terms { for i in sum.elements.indices { sum.elements[i] += c * a.elements[i] } }
  return sum
}

/// Selects rows and columns of a matrix that maps row-major matrices of `width` columns.
private func restriction(
  _ a: Matrix<Double>, inputRows: [Int], outputRows: [Int], width: (input: Int, output: Int)
) -> Matrix<Double> {
  let places = { (rows: [Int], width: Int) in rows.flatMap { $0 * width..<($0 + 1) * width } }
  let columns = places(inputRows, width.input)
  return Matrix(places(outputRows, width.output).map { i in columns.map { a[i, $0] } })
}

private let (a, b, c) = (random(5, 7, seed: 1), random(5, 7, seed: 2), random(5, 7, seed: 3))
private let (square, other) = (random(6, 6, seed: 4), random(6, 6, seed: 5))
private let (left, middle, right) = (
  random(3, 8, seed: 6), random(8, 4, seed: 7), random(4, 6, seed: 8)
)
/// A map from 4 rows of 3 to 5 rows of 2.
private let wide = random(10, 12, seed: 9)
private let (some, others) = (RowSelection([2, 0], of: 4), RowSelection([4, 1, 3], of: 5))

private let made = [
  MadeOperator(
    name: "sum", make: { $0(a) + $0(b) }, matrix: combination([(1, a), (1, b)]), cost: 2),
  MadeOperator(
    name: "difference", make: { $0(a) - $0(b) }, matrix: combination([(1, a), (-1, b)]), cost: 2),
  MadeOperator(
    name: "weighted sum", make: { SumOperator([$0(a), $0(b), $0(c)], weights: [2, -0.5, 0.25]) },
    matrix: combination([(2, a), (-0.5, b), (0.25, c)]), cost: 3),
  MadeOperator(
    name: "average", make: { SumOperator.average(of: [$0(a), $0(b), $0(c)]) },
    matrix: combination([(1 / 3, a), (1 / 3, b), (1 / 3, c)]), cost: 3),
  MadeOperator(
    name: "weighted average",
    make: { SumOperator.average(of: [$0(a), $0(b)], weights: [3, 1]) },
    matrix: combination([(0.75, a), (0.25, b)]), cost: 2),
  MadeOperator(name: "scaled", make: { 2 * $0(a) }, matrix: combination([(2, a)]), cost: 1),
  MadeOperator(name: "negated", make: { -$0(a) }, matrix: combination([(-1, a)]), cost: 1),
  MadeOperator(name: "adjoint", make: { $0(a).adjoint }, matrix: a.transposed, cost: 1),
  MadeOperator(
    name: "composed", make: { $0(left).composed(with: $0(middle)) },
    matrix: .product(left, .none, middle), cost: 2),
  MadeOperator(
    name: "chain of three", make: { ComposedOperator([$0(left), $0(middle), $0(right)]) },
    matrix: .product(.product(left, .none, middle), .none, right), cost: 3),
  MadeOperator(
    name: "chain of four",
    make: { ComposedOperator([$0(left), $0(middle), $0(right), $0(square)]) },
    matrix: .product(.product(.product(left, .none, middle), .none, right), .none, square),
    cost: 4),
  MadeOperator(name: "chain of one", make: { ComposedOperator([$0(a)]) }, matrix: a, cost: 1),
  MadeOperator(
    name: "identity plus", make: { $0(square).plusIdentity },
    matrix: combination([(1, square), (1, .identity(6))]), cost: 1),
  MadeOperator(
    name: "minus identity", make: { $0(square).minusIdentity },
    matrix: combination([(1, square), (-1, .identity(6))]), cost: 1),
  MadeOperator(
    name: "shifted", make: { $0(square).shifted(by: 0.3) },
    matrix: combination([(1, square), (0.3, .identity(6))]), cost: 1),
  MadeOperator(
    name: "rows to rows", make: { $0(wide).restricted(inputRows: some, outputRows: others) },
    matrix: restriction(
      wide, inputRows: [2, 0], outputRows: [4, 1, 3], width: (input: 3, output: 2)), cost: 1),
  MadeOperator(
    name: "rows of the input", make: { $0(wide).restricted(inputRows: some) },
    matrix: restriction(
      wide, inputRows: [2, 0], outputRows: [0, 1, 2, 3, 4], width: (input: 3, output: 2)), cost: 1),
  MadeOperator(
    name: "rows of the output", make: { $0(wide).restricted(outputRows: others) },
    matrix: restriction(
      wide, inputRows: [0, 1, 2, 3], outputRows: [4, 1, 3], width: (input: 3, output: 2)), cost: 1),
  MadeOperator(
    name: "formula", make: { ($0(square).plusIdentity * $0(other).plusIdentity).minusIdentity },
    matrix: combination([
      (1, square), (1, other), (1, .product(square, .none, other)),
    ]), cost: 2),
  MadeOperator(
    name: "one operator twice",
    make: {
      let a = $0(square)
      return a * a + 0.5 * a.adjoint
    },
    matrix: combination([(1, .product(square, .none, square)), (0.5, square.transposed)]), cost: 3),
]

/// Composite operators equal the matrices of their formulas, respect the contract, and cost what they document.
@Suite struct CompositeOperatorTests {
  /// Matrices here have entries of size 1 and at most 12 rows and columns, chains have at most four factors: sums of
  /// a few hundred terms of size up to 100, each with a relative rounding error of 10⁻¹⁶.
  private static let rounding = 1e-12

  private func dense(_ made: MadeOperator) -> any LinearOperator { made.make { DenseOperator($0) } }

  @Test(arguments: made)
  func isTheMatrixOfItsFormula(made: MadeOperator) {
    let operation = dense(made)
    #expect(operation.outputDimension == made.matrix.rows)
    #expect(operation.inputDimension == made.matrix.columns)
    let n = operation.inputDimension
    let m = operation.outputDimension
    let forward = operation.apply(.identity(n)).transposed
    let backward = operation.applyAdjoint(.identity(m))
    #expect((forward - made.matrix).frobeniusNorm < Self.rounding)
    #expect((backward - made.matrix).frobeniusNorm < Self.rounding)
  }

  @Test(arguments: made, [1, 2] as [UInt64])
  func agreesWithItsAdjoint(made: MadeOperator, seed: UInt64) throws {
    let operation = dense(made)
    let v = random(3, operation.inputDimension, seed: seed)
    let u = random(3, operation.outputDimension, seed: seed + 10)
    let forward = Matrix.product(u, .none, operation.apply(v), .transposed)
    let backward = Matrix.product(operation.applyAdjoint(u), .none, v, .transposed)
    #expect((forward - backward).frobeniusNorm < 10 * Self.rounding)
    try CheckedOperator(operation).checkAdjoint(seed: seed)
  }

  /// Every member gets an output full of NaN and must find its input unchanged, like the whole; each costs what is
  /// documented, in one call with all vectors.
  @Test(arguments: made, [1, 3])
  func keepsTheContract(made: MadeOperator, vectors: Int) {
    var members: [StrictOperator] = []
    let operation = made.make { matrix in
      let member = StrictOperator(DenseOperator(matrix))
      members.append(member)
      return member
    }
    let strict = StrictOperator(operation)
    let v = random(vectors, strict.inputDimension, seed: 20)
    let u = random(vectors, strict.outputDimension, seed: 21)
    let (y, x) = (strict.apply(v), strict.applyAdjoint(u))
    #expect(y.elements.allSatisfy(\.isFinite) && x.elements.allSatisfy(\.isFinite))
    #expect((members + [strict]).allSatisfy { $0.violations.isEmpty })
    let counts = members.map(\.count)
    #expect(counts.reduce(0) { $0 + $1.jvp + $1.vjp } == 2 * made.cost * vectors)
    #expect(counts.reduce(0) { $0 + $1.passes } == 2 * made.cost)
    // Buffers contain the results of the last application, which must not affect the next one.
    #expect(strict.apply(v) == y && strict.applyAdjoint(u) == x)
  }

  @Test(arguments: made, [2, 5])
  func manyVectorsAreManyCalls(made: MadeOperator, vectors: Int) {
    let operation = dense(made)
    let v = random(vectors, operation.inputDimension, seed: 30)
    let u = random(vectors, operation.outputDimension, seed: 31)
    let (y, x) = (operation.apply(v), operation.applyAdjoint(u))
    for i in 0..<vectors {
      #expect(
        (operation.apply(v.rows(i..<i + 1)) - y.rows(i..<i + 1)).frobeniusNorm < Self.rounding)
      #expect(
        (operation.applyAdjoint(u.rows(i..<i + 1)) - x.rows(i..<i + 1)).frobeniusNorm
          < Self.rounding)
    }
  }

  /// Fewer vectors after more, and more again: buffers are as long as the widest application, and old numbers are not
  /// used.
  @Test(arguments: made)
  func widthsMayChange(made: MadeOperator) {
    let operation = dense(made)
    for vectors in [4, 1, 6, 2] {
      let v = random(vectors, operation.inputDimension, seed: UInt64(40 + vectors))
      let wanted = Matrix.product(v, .none, made.matrix, .transposed)
      #expect((operation.apply(v) - wanted).frobeniusNorm < Self.rounding * 10)
    }
  }
}
