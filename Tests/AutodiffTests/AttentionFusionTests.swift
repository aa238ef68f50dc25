import Autodiff
import LinearAlgebra
import Testing
import Weights

private let (width, tokens) = (48, 4)

/// A stored matrix of normal numbers of variance 1 / columns, so that products keep the size of their vectors.
private func weights(_ rows: Int, _ columns: Int, seed: UInt64) -> StoredMatrix {
  StoredMatrix(numbers(rows, columns, seed: seed).converted(to: Float.self))
}

private func numbers(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix<Double> {
  var generator = SeededGenerator(seed: seed)
  let scale = 1 / Double(columns).squareRoot()
  let normal = generator.normalMatrix(rows: rows, columns: columns)
  return Matrix(rows: rows, columns: columns, elements: normal.elements.map { scale * $0 })
}

/// Codes of Q4_0, blocks of 32 weights: the scale 1/16 as a binary16 number, then 16 bytes of two codes each.
private func quantized(_ rows: Int, _ columns: Int, seed: UInt64) -> StoredMatrix {
  var generator = SeededGenerator(seed: seed)
  var bytes: [UInt8] = []
  for _ in 0..<rows * columns / 32 {
    bytes += [0x00, 0x2c] + (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }
  }
  final class Bytes {
    let base: UnsafeMutableRawPointer
    init(_ bytes: [UInt8]) {
      base = .allocate(byteCount: bytes.count, alignment: 16)
      base.copyMemory(from: bytes, byteCount: bytes.count)
    }
    deinit { base.deallocate() }
  }
  let owner = Bytes(bytes)
  return StoredMatrix(
    base: owner.base, elementType: .q4_0, rows: rows, columns: columns, owner: owner)
}

/// An attention of one row: whether it fuses, and what differs from the usual one with two query heads for each key and value.
private struct Case: CustomTestStringConvertible, Sendable {
  var testDescription: String
  var isFused = true
  var heads = 4
  var groups = 2
  var d = 8
  var e = 8
  var softCap: Double?
  var sinks: [Double]?
  var visible: Range<Int> = 0..<tokens
  var context = tokens
  var isRotated = false
  var norm: Norm?
  var isOneMatrix = false
  var valueNorm = false
  /// Whether all features pass one norm before they are divided.
  var isNormedBefore = false
  var isQuantized = false
  var isTransposed = false
  var hasOtherUse = false
  var isGated = false
  var keysOfAnotherRow = false
  /// A factor of the queries; large ones saturate soft-max.
  var factor = 1.0

  enum Norm { case heads, all }

  static let all: [Case] = [
    Case(testDescription: "grouped"),
    Case(testDescription: "a head's own values", groups: 4),
    Case(testDescription: "values of another size", d: 12, e: 6),
    Case(testDescription: "rotated", isRotated: true),
    Case(testDescription: "head norms, rotated", isRotated: true, norm: .heads),
    Case(testDescription: "a norm of all heads", isFused: false, norm: .all),
    Case(testDescription: "soft cap", softCap: 2),
    Case(testDescription: "sinks", sinks: [-1, 0, 2, 9]),
    Case(testDescription: "a window", visible: 2..<tokens),
    Case(testDescription: "only itself", visible: tokens - 1..<tokens),
    Case(testDescription: "one matrix", isOneMatrix: true),
    Case(testDescription: "one matrix, norm of values", isOneMatrix: true, valueNorm: true),
    Case(
      testDescription: "a head of several under one norm", isFused: false, heads: 1, groups: 1,
      norm: .all,
      isOneMatrix: true, isNormedBefore: true),
    Case(testDescription: "quantised", d: 16, e: 16, isQuantized: true),
    Case(testDescription: "saturated", factor: 30),
    Case(testDescription: "a long context", isFused: false, context: 40),
    Case(testDescription: "stored transposed", isFused: false, isTransposed: true),
    Case(testDescription: "another use", isFused: false, hasOtherUse: true),
    Case(testDescription: "gated", isFused: false, isGated: true),
    Case(testDescription: "keys of another row", isFused: false, keysOfAnotherRow: true),
  ]

  func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    let (rows, keyRows, valueRows) = (heads * d, groups * d, groups * e)
    let all = weights(rows + keyRows + valueRows, width, seed: 1)
    let part = { (range: Range<Int>, input: Variable<S>) in
      isOneMatrix ? input.linear(all).columns(range) : input.linear(all.rows(range))
    }
    var (q, k, v): (Variable<S>, Variable<S>, Variable<S>)
    if isOneMatrix {
      var y = x.linear(all)
      if isNormedBefore { y = y.rmsNorm(gain: nil, epsilon: 1e-5) }
      (q, k, v) = (
        y.columns(0..<rows), y.columns(rows..<rows + keyRows),
        y.columns(rows + keyRows..<rows + keyRows + valueRows)
      )
    } else {
      q = part(0..<rows, x)
      k = part(rows..<rows + keyRows, keysOfAnotherRow ? x.activated(by: .tanh) : x)
      v = part(rows + keyRows..<rows + keyRows + valueRows, x)
    }
    if let norm {
      q = q.rmsNorm(gain: nil, epsilon: 1e-5, groups: norm == .heads ? heads : 1)
      k = k.rmsNorm(gain: nil, epsilon: 1e-5, groups: norm == .heads ? groups : 1)
    }
    if valueNorm { v = v.rmsNorm(gain: nil, epsilon: 1e-5, groups: groups) }
    q = S(factor) * q
    if isRotated {
      let angles = RotaryAngles<S>(
        positions: [3], frequencies: [1, 0.3, 0.1], pairing: .interleaved)
      (q, k) = (q.rotated(by: angles, heads: heads), k.rotated(by: angles, heads: groups))
    }
    let seen = context == tokens ? visible : 0..<context
    let settings = AttentionSettings(
      heads: heads, keyValueHeads: groups, headDimension: d, valueDimension: e, scale: 0.5,
      softCap: softCap, visible: { _, _ in seen }, sinks: sinks)
    // The row's own token is the last one.
    let tokens = { (own: Variable<S>, seed: UInt64) -> Variable<S> in
      let others: Matrix<S> = numbers(context - 1, own.columns, seed: seed).converted(to: S.self)
      let elements: [S] = others.elements + own.value.elements
      return Variable(Matrix(rows: context, columns: own.columns, elements: elements))
    }
    let cache = KeyValueCache(keys: tokens(k, 2), values: tokens(v, 3), settings: settings)
    let row = AttentionRow(
      cache: cache, sources: ActiveTokens([context - 1], firstRow: 0), target: context - 1)
    var y = selectedAttention(queries: q, keys: k, values: v, rows: [row], settings: settings)
    if isGated { y = y * y.detached }
    let output: StoredMatrix
    if isQuantized {
      output = quantized(width, heads * e, seed: 4)
    } else {
      output =
        isTransposed ? weights(heads * e, width, seed: 4) : weights(width, heads * e, seed: 4)
    }
    let out = y.linear(output, transposed: isTransposed)
    return hasOtherUse ? out + y.linear(weights(width, heads * e, seed: 5)) : out
  }
}

/// A fused attention gives the products in double precision, as the unfused one does, for few and for many vectors and in both
/// directions, and the adjoint's identity.
///
/// Errors: at most six numbers are multiplied for a term of a result, and each of at most four sums has no more than 64 + 16 terms,
/// so a result is rounded less than 400 times on its way, by u = 2⁻²⁴ of a partial sum each. The weights' variance keeps partial
/// sums below 4 times the largest entry of a result, which gives 400 · 4 u ≈ 10⁻⁴ of that entry; a saturated soft-max has a
/// factor of 30 in its scores, and Q4_0 weights of 1/4 on average, 64 to a row, are four times as large.
@Test(arguments: Case.all) private func fusedAttentionEqualsUnfused(program: Case) {
  let x = numbers(1, width, seed: 6)
  let at = Matrix(rows: 1, columns: width, elements: x.elements.map { Float(7 * $0) })
  let plain = linearize({ program($0) }, at: at)
  let fused = linearize({ program($0) }, at: at, fusesLinearMaps: true)
  let exact = linearize({ program($0) }, at: at.converted(to: Double.self), fusesLinearMaps: true)
  #expect(fused.value == plain.value && !fused.isFused)
  #expect((fused.fusedBytes > 0) == program.isFused && exact.fusedBytes == 0)
  var generator = SeededGenerator(seed: 7)
  for b in [1, 9, 40] {
    let v = generator.normalMatrix(rows: b, columns: width)
    let (jv, jtu) = (fused.apply(v), fused.applyAdjoint(v))
    let tolerance = 1e-4 * max(1, program.factor) * (program.isQuantized ? 4 : 1)
    for (got, wanted) in [(jv, exact.apply(v)), (jtu, exact.applyAdjoint(v))] {
      let largest = wanted.elements.reduce(0) { max($0, abs($1)) }
      #expect((got - wanted).elements.allSatisfy { abs($0) <= tolerance * largest })
    }
    for i in 0..<b {
      let left = zip(v.row(i), jv.row(i)).reduce(0) { $0 + $1.0 * $1.1 }
      let right = zip(jtu.row(i), v.row(i)).reduce(0) { $0 + $1.0 * $1.1 }
      let size = zip(v.row(i), jv.row(i)).reduce(0) { $0 + abs($1.0 * $1.1) }
      #expect(abs(left - right) <= tolerance * size)
    }
    // The same bits after the matrices have been freed and formed again, and with one thread.
    fused.releaseWorkspace()
    #expect(fused.apply(v) == jv)
    fused.releaseWorkspace()
    #expect(Engine(threads: 1).use { fused.applyAdjoint(v) } == jtu)
  }
}

/// The matrices are counted with the workspace, and the weights that they replace as read; of queries, keys and values in one
/// matrix, the values are the part that is still multiplied with. Several rows are not fused.
@Test func fusedAttentionIsCounted() {
  let one = Matrix<Float>(rows: 1, columns: width, repeating: 0.5)
  let program = Case(testDescription: "grouped")
  let (plain, fused) = (
    linearize({ program($0) }, at: one), linearize({ program($0) }, at: one, fusesLinearMaps: true)
  )
  // Sᵀ and the maps of the probabilities: 4 heads of 4 tokens; the values of two groups of 8 features.
  #expect(fused.fusedBytes == 4 * (2 * width * 16 + width * 16))
  #expect(fused.weightBytes == plain.weightBytes)
  #expect(fused.workspaceBytes(vectors: 0) == fused.fusedBytes)
  let together = Case(testDescription: "one matrix", isOneMatrix: true)
  #expect(
    linearize({ together($0) }, at: one, fusesLinearMaps: true).fusedBytes == fused.fusedBytes)
}
