import Autodiff
import LinearAlgebra
import Testing
import Weights

private let (inputs, hidden, outputs) = (24, 64, 16)

private func matrix(_ rows: Int, _ columns: Int, seed: UInt64) -> StoredMatrix {
  var generator = SeededGenerator(seed: seed)
  return StoredMatrix(
    generator.normalMatrix(rows: rows, columns: columns).converted(to: Float.self))
}

private let gate = matrix(hidden, inputs, seed: 1)
private let up = matrix(hidden, inputs, seed: 2)
private let both = matrix(2 * hidden, inputs, seed: 3)
private let down = matrix(outputs, hidden, seed: 4)

/// A program and whether two of its linear maps fuse at a single row.
private struct Case: CustomTestStringConvertible, Sendable {
  let testDescription: String
  let isFused: Bool
  let function: @Sendable (Variable<Float>) -> Variable<Float>

  static let all = [
    Case(testDescription: "gated", isFused: true) { x in
      (x.linear(gate).activated(by: .silu) * x.linear(up)).linear(down)
    },
    Case(testDescription: "gated, with bias and factors", isFused: true) { x in
      let bias = [Float](repeating: 0.25, count: hidden)
      return (0.5 * x.linear(gate, bias: bias)).activated(by: .gelu) * x.linear(up, bias: bias)
    },
    Case(testDescription: "slices of one matrix", isFused: true) { x in
      let y = x.linear(both)
      return y.columns(0..<hidden).activated(by: .silu) * y.columns(hidden..<2 * hidden)
    },
    Case(testDescription: "alternating features of one matrix", isFused: false) { x in
      let y = x.linear(both)
      let (even, odd) = ((0..<hidden).map { 2 * $0 }, (0..<hidden).map { 2 * $0 + 1 })
      return y.gather(columns: even).activated(by: .silu) * y.gather(columns: odd)
    },
    Case(testDescription: "an output with another use", isFused: false) { x in
      let y = x.linear(up)
      return x.linear(gate).activated(by: .silu) * y + y
    },
    Case(testDescription: "two inputs", isFused: false) { x in
      x.linear(gate).activated(by: .silu) * x.activated(by: .tanh).linear(up)
    },
    Case(testDescription: "a held gate", isFused: false) { x in
      x.linear(gate).activated(by: .silu).detached * x.linear(up)
    },
  ]
}

/// Fused maps give the products of the unfused ones, in both directions, and the adjoint's identity.
///
/// Errors: M is rounded three times per entry, each product at most n + 2 times, the unfused form likewise; the entries are of
/// order 1, and so is every factor. With L the sum of absolute terms, n = 64 and u = 2⁻²⁴, differences stay below 8 (n + 4) u L,
/// where L < 500 for unit vectors and matrices of standard normal numbers with these sizes.
@Test(arguments: Case.all) private func fusedMapsEqualUnfused(program: Case) {
  var generator = SeededGenerator(seed: 5)
  let x = generator.normalMatrix(rows: 1, columns: inputs).converted(to: Float.self)
  let plain = linearize(program.function, at: x)
  let fused = linearize(program.function, at: x, fusesLinearMaps: true)
  #expect(!plain.isFused && fused.isFused == program.isFused)
  #expect(fused.value == plain.value)
  let bound = 8 * Double(hidden + 4) * 0x1p-24 * 500
  let v = generator.normalMatrix(rows: 9, columns: fused.inputDimension)
  let u = generator.normalMatrix(rows: 9, columns: fused.outputDimension)
  let (jv, jtu) = (fused.apply(v), fused.applyAdjoint(u))
  #expect((jv - plain.apply(v)).elements.allSatisfy { abs($0) < bound })
  #expect((jtu - plain.applyAdjoint(u)).elements.allSatisfy { abs($0) < bound })
  for i in 0..<9 {
    let left = zip(u.row(i), jv.row(i)).reduce(0) { $0 + $1.0 * $1.1 }
    let right = zip(jtu.row(i), v.row(i)).reduce(0) { $0 + $1.0 * $1.1 }
    #expect(abs(left - right) < bound * Double(inputs + hidden))
  }
  // The same bits after the matrix has been freed and formed again, and with one thread.
  fused.releaseWorkspace()
  #expect(fused.apply(v) == jv)
  fused.releaseWorkspace()
  #expect(Engine(threads: 1).use { fused.applyAdjoint(u) } == jtu)
}

/// The matrix is counted with the workspace; several rows, which would need one each, are not fused, nor is double precision.
@Test func fusionIsCounted() {
  let program = { (x: Variable<Float>) in
    x.linear(gate).activated(by: .silu) * x.linear(up)
  }
  let one = Matrix<Float>(rows: 1, columns: inputs, repeating: 0.5)
  let (plain, fused) = (
    linearize(program, at: one), linearize(program, at: one, fusesLinearMaps: true)
  )
  // Without the slots of both outputs, which the matrix replaces.
  #expect(
    fused.workspaceBytes(vectors: 0) == 4 * inputs * hidden && plain.workspaceBytes(vectors: 0) == 0
  )
  #expect(
    fused.workspaceBytes(vectors: 1) - 4 * inputs * hidden < plain.workspaceBytes(vectors: 1))
  #expect(fused.weightBytes == plain.weightBytes)
  let two = Matrix<Float>(rows: 2, columns: inputs, repeating: 0.5)
  #expect(!linearize(program, at: two, fusesLinearMaps: true).isFused)
  let double = linearize(
    { (x: Variable<Double>) in x.linear(gate).activated(by: .silu) * x.linear(up) },
    at: one.converted(to: Double.self), fusesLinearMaps: true)
  #expect(!double.isFused)
}

/// A quantised matrix: Q8_0, multiples of 1/16 below 8.
private func quantised(
  _ rows: Int, _ columns: Int, seed: UInt64, as type: ElementType = .q8_0
) throws -> StoredMatrix {
  var generator = SeededGenerator(seed: seed)
  var bytes: [UInt8] = []
  for _ in 0..<rows * columns / 32 {
    // The scale 2⁻⁴ as a half.
    bytes += [0x00, 0x2c]
    bytes += (2..<type.blockBytes).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
  }
  let stored = try #require(type.bytes(forCount: columns))
  #expect(bytes.count == rows * stored)
  let base = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 64)
  base.copyMemory(from: bytes, byteCount: bytes.count)
  return StoredMatrix(
    base: base, elementType: type, rows: rows, columns: columns, owner: Allocation(base))
}

private final class Allocation: @unchecked Sendable {
  private let base: UnsafeMutableRawPointer
  init(_ base: UnsafeMutableRawPointer) { self.base = base }
  deinit { base.deallocate() }
}

/// A small quantised matrix is widened for thin products and not for wide ones. Both are the products of the widened numbers, are
/// each other's adjoint, and the widened matrix is counted, though it is no reason to solve a Jacobian apart from others.
///
/// Errors: a weight is at most 8 in absolute value, a vector's entry below 6, a product sums n = 64 terms, each rounded at most n + 2
/// times: |error| ≤ (n + 2) u · 64 · 8 · 6 with u = 2⁻²⁴, twice for a difference. In ⟨u, J v⟩ and ⟨Jᵀ u, v⟩ the errors of all
/// outputs are multiplied by entries below 6 and added.
@Test(arguments: [4, 33]) func quantisedMatricesAreWidened(vectors: Int) throws {
  let (rows, columns) = (32, 64)
  let stored = try quantised(rows, columns, seed: 11)
  let plain = StoredMatrix(
    Matrix(rows: rows, columns: columns, elements: (0..<rows).flatMap { stored.row($0) }))
  let x = Matrix<Float>(rows: 1, columns: columns, repeating: 0.5)
  let fused = linearize({ $0.linear(stored) }, at: x, fusesLinearMaps: true)
  let exact = linearize({ $0.linear(plain) }, at: x)
  #expect(!fused.isFused && fused.fusedBytes == 4 * rows * columns)
  #expect(fused.weightBytes == stored.weightBytes)
  var generator = SeededGenerator(seed: 12)
  let v = generator.normalMatrix(rows: vectors, columns: columns)
  let u = generator.normalMatrix(rows: vectors, columns: rows)
  let bound = 2 * Double(columns + 2) * 0x1p-24 * 64 * 8 * 6
  let (jv, jtu) = (fused.apply(v), fused.applyAdjoint(u))
  #expect((jv - exact.apply(v)).elements.allSatisfy { abs($0) < bound })
  #expect((jtu - exact.applyAdjoint(u)).elements.allSatisfy { abs($0) < bound })
  for i in 0..<vectors {
    let left = zip(u.row(i), jv.row(i)).reduce(0) { $0 + $1.0 * $1.1 }
    let right = zip(jtu.row(i), v.row(i)).reduce(0) { $0 + $1.0 * $1.1 }
    #expect(abs(left - right) < bound * Double(rows + columns) * 6)
  }
  fused.releaseWorkspace()
  #expect(fused.apply(v) == jv)
  // Several rows share what a product widens, and a large matrix would not stay in a cache.
  let two = Matrix<Float>(rows: 2, columns: columns, repeating: 0.5)
  #expect(linearize({ $0.linear(stored) }, at: two, fusesLinearMaps: true).fusedBytes == 0)
  let large = try quantised(1025, 1024, seed: 13)
  let wide = Matrix<Float>(rows: 1, columns: 1024, repeating: 0.5)
  #expect(linearize({ $0.linear(large) }, at: wide, fusesLinearMaps: true).fusedBytes == 0)
}

/// Nibbles are not widened for thin products where registers hold tables of sixteen values, which they are looked up in.
@Test(
  arguments: Engine.InstructionSet.allCases.filter {
    $0.rawValue <= Engine.InstructionSet.best.rawValue
  })
func nibblesAreWidenedInRegisters(set: Engine.InstructionSet) throws {
  let stored = try quantised(32, 64, seed: 17, as: .q4_0)
  let x = Matrix<Float>(rows: 1, columns: 64, repeating: 0.5)
  try #require(Engine(set, threads: 1)).use {
    let fused = linearize({ $0.linear(stored) }, at: x, fusesLinearMaps: true)
    #expect(fused.fusedBytes == (set == .avx512 ? 0 : 4 * 32 * 64))
  }
}

/// Two maps that are too large to be kept as one are one in wide applications only, a portion of rows after the other, which is
/// counted.
///
/// Errors: a product of n terms is rounded at most 84 + n / 256 times, the scaling and addition of two of them twice more, as is an
/// entry of M: with |w| ≤ 8 and the factors f = |W₁ x| + |W₂ x|, of which each step's own is one rounding off,
/// |δ(J v)ᵢ| ≤ (88 + n / 256) u · 8 fᵢ ‖v‖₁ and |δ(Jᵀ u)ⱼ| ≤ (88 + m / 256) u · 8 Σᵢ fᵢ |uᵢ|, twice for a difference.
@Test func largeMapsAreFusedInWideApplications() throws {
  let (rows, columns) = (4100, 4096)
  let (first, second) = (
    try quantised(rows, columns, seed: 14), try quantised(rows, columns, seed: 15)
  )
  let program = { (x: Variable<Float>) in x.linear(first) * x.linear(second) }
  var generator = SeededGenerator(seed: 16)
  let x = generator.normalMatrix(rows: 1, columns: columns).converted(to: Float.self)
  let plain = linearize(program, at: x)
  let fused = linearize(program, at: x, fusesLinearMaps: true)
  #expect(fused.value == plain.value && !fused.isFused && fused.fusedBytes == 0)
  #expect(fused.weightBytes == plain.weightBytes)
  // 512 rows in a portion.
  let (thin, wide) = (Engine.independentVectors, Engine.independentVectors + 1)
  #expect(
    fused.workspaceBytes(vectors: 2 * wide) - 2 * fused.workspaceBytes(vectors: wide) == -(8 << 20))
  #expect(fused.workspaceBytes(vectors: 2) == 2 * fused.workspaceBytes(vectors: 1))
  let v = generator.normalMatrix(rows: wide, columns: columns)
  let u = generator.normalMatrix(rows: wide, columns: rows)
  #expect(fused.apply(v.prefix(thin)) == plain.apply(v.prefix(thin)))
  #expect(fused.applyAdjoint(u.prefix(thin)) == plain.applyAdjoint(u.prefix(thin)))

  let (jv, jtu) = (fused.apply(v), fused.applyAdjoint(u))
  let (expected, adjoint) = (plain.apply(v), plain.applyAdjoint(u))
  #expect(jv != expected && jtu != adjoint)
  let constant = Variable(x)
  let factors = zip(constant.linear(first).value.elements, constant.linear(second).value.elements)
    .map { Double(abs($0) + abs($1)) }
  for k in 0..<wide {
    let bound = 2 * (88 + Double(columns) / 256) * 0x1p-24 * 8
    let norm = v.row(k).reduce(0) { $0 + abs($1) }
    for i in 0..<rows { #expect(abs(jv[k, i] - expected[k, i]) <= bound * factors[i] * norm) }
    let adjointBound = 2 * (88 + Double(rows) / 256) * 0x1p-24 * 8
    let sum = zip(factors, u.row(k)).reduce(0) { $0 + $1.0 * abs($1.1) }
    for j in 0..<columns { #expect(abs(jtu[k, j] - adjoint[k, j]) <= adjointBound * sum) }
  }
  // The same bits with another number of threads, and after the workspace has been freed.
  fused.releaseWorkspace()
  #expect(Engine(threads: 1).use { fused.apply(v) } == jv)
  #expect(Engine(threads: 1).use { fused.applyAdjoint(u) } == jtu)
}
