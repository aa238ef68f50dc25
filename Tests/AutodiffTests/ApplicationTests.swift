import Autodiff
import LinearAlgebra
import Testing
import Weights

/// b vectors at once give the same bits as b vectors one by one, in any order and after wider and narrower
/// applications; the input stays unchanged and every number of the output is written. Each vector has two rows, so
/// that there are as many as products with stored matrices take in one order of summation, minus one pair.
@Test(arguments: Program.all) func companionsDoNotMatter(program: Program) {
  let a = program.linearized(at: program.point(rows: 2, seed: 7).converted(to: Float.self))
  var generator = SeededGenerator(seed: 3)
  let count = Engine.independentVectors / 2 - 1
  let v = generator.normalMatrix(rows: count, columns: a.inputDimension)
  let u = generator.normalMatrix(rows: count, columns: a.outputDimension)
  let together = (a.apply(v), a.applyAdjoint(u))
  for i in [0, 7, count - 1] {
    let single = { (m: Matrix<Double>) in
      Matrix(rows: 1, columns: m.columns, elements: Array(m.row(i)))
    }
    #expect(Array(a.apply(single(v)).elements) == Array(together.0.row(i)))
    #expect(Array(a.applyAdjoint(single(u)).elements) == Array(together.1.row(i)))
  }
  let before = v
  var y = Matrix<Double>(rows: count, columns: a.outputDimension, repeating: .nan)
  var span = y.elements.mutableSpan
  a.apply(v.elements.span, into: &span, vectors: count)
  #expect(y == together.0 && v == before)
}

/// An application does not evaluate: the program runs once, however often its derivative is applied.
@Test func programRunsOnce() {
  var runs = 0
  let a = linearize(
    { (x: Variable<Double>) in
      runs += 1
      return x.activated(by: .tanh)
    }, at: Matrix(rows: 1, columns: 4, repeating: 0.5))
  let ones = Matrix<Double>(rows: 1, columns: 4, repeating: 1)
  for _ in 0..<5 { _ = a.vjp(a.jvp(ones)) }
  #expect(runs == 1)
}

/// Rows are independent: J of three rows is block diagonal, and its blocks are the J of each row.
@Test(arguments: [Program.rmsNorm, .softmax, .gatedUnit, .layerNormGroups])
func rowsAreIndependent(program: Program) {
  let x = program.point(rows: 3, seed: 5)
  let whole = program.linearized(at: x).materialized()
  let (m, n) = (whole.rows / 3, whole.columns / 3)
  for r in 0..<3 {
    let row = Matrix(rows: 1, columns: x.columns, elements: Array(x.row(r)))
    let part = program.linearized(at: row).materialized()
    for i in 0..<whole.rows {
      for j in 0..<n {
        let expected = i / m == r ? part[i % m, j] : 0
        // The same operations; only the order in which a product sums may differ between widths.
        #expect(abs(whole[i, r * n + j] - expected) < 1e-13 * (1 + abs(expected)))
      }
    }
  }
}

/// An inactive row does not change the others, to the bit; the rows are the operators of the batch.
@Test(arguments: [Program.rmsNorm, .softmax, .gatedUnit, .layerNormGroups])
func rowsAtRestDoNotMatter(program: Program) throws {
  let rows = program.linearized(at: program.point(rows: 4, seed: 5)).rows
  var generator = SeededGenerator(seed: 9)
  let all = Array(0..<4)
  for direction in [ProductDirection.forward, .adjoint] {
    let checked = CheckedOperator(rows)
    let length = direction == .forward ? rows.inputDimension : rows.outputDimension
    let blocks = all.map { _ in generator.normalMatrix(rows: 3, columns: length) }
    let together = try checked.products(direction, of: blocks, active: all, width: 3)
    for active in [[0], [1, 3], [0, 1, 2]] {
      let some = try checked.products(
        direction, of: active.map { blocks[$0] }, active: active, width: 3)
      #expect(some == active.map { together[$0] })
      let member = CheckedOperator(rows.member(active[0]))
      #expect(try member.products(direction, of: blocks[active[0]], width: 3) == some[0])
    }
  }
}

/// A wide application after a narrow one grows the workspace and gives the same numbers.
@Test func workspaceCanBeReleased() {
  let a = Program.gatedUnit.linearized(at: Program.gatedUnit.point(rows: 1, seed: 1))
  let v = Matrix<Double>.identity(a.inputDimension)
  let first = a.apply(v)
  a.releaseWorkspace()
  #expect(a.apply(v) == first)
  #expect(a.workspaceBytes(vectors: 2) == 2 * a.workspaceBytes(vectors: 1))
}

/// Sequences that attend to others' keys and values give, up to rounding, what each token gives by itself.
@Test func sequencesLookElsewhere() {
  var generator = SeededGenerator(seed: 6)
  let settings = AttentionSettings(
    heads: 2, keyValueHeads: 1, headDimension: 3, scale: 1, visible: { _, count in 0..<count })
  let queries = Variable(generator.normalMatrix(rows: 5, columns: 6))
  let caches = [4, 1].map { count in
    KeyValueCache(
      keys: Variable(generator.normalMatrix(rows: count, columns: 3)),
      values: Variable(generator.normalMatrix(rows: count, columns: 3)), settings: settings)
  }
  let together = sequenceAttention(
    queries: queries, counts: [2, 3], caches: caches, settings: settings)
  let rows = (0..<5).map { AttentionRow(cache: caches[$0 < 2 ? 0 : 1], sources: .none, target: $0) }
  let single = selectedAttention(
    queries: queries, keys: nil, values: nil, rows: rows, settings: settings)
  for (a, b) in zip(together.value.elements, single.value.elements) { #expect(abs(a - b) < 1e-14) }
}
