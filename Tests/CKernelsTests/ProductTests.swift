import Weights
import CKernels
import Foundation
import LinearAlgebra
import Testing

/// Unit roundoff of single precision.
private let roundoff = 0x1p-24

extension KernelTests {
  @Suite struct Products {
    static let widths = [1, 2, 3, 5, 6, 8, 9, 16, 17, 18, 31, 32, 33, 64]

    /// Odd shapes, with columns that are a whole number of blocks. Those with 1040 columns are read in place, whose adjoint sums fewer
    /// rows at a time; how many depends on the type, and on whether a cache should hold the matrix, which is then below 4 MB. With
    /// bf16 columns are taken in pairs of vectors, which fit into 1056 with every instruction set, and into 1048 only with the
    /// portable one. The last shapes of f32, bf16 and f16 have rows a multiple of 4096 bytes apart.
    static func shapes(_ type: ElementType) -> [(rows: Int, columns: Int)] {
      switch type.blockLength {
      case 1 where type == .f32:
        [(1, 1), (3, 5), (17, 33), (513, 1029), (519, 1040), (1031, 1040), (37, 1024)]
      case 1 where type == .bf16:
        [
          (1, 1), (3, 5), (17, 33), (513, 1029), (519, 1040), (2063, 1040), (35, 1048), (35, 1056),
          (37, 2048),
        ]
      case 1 where type == .f16: [(1, 1), (3, 5), (17, 33), (513, 1029), (37, 2048)]
      case 1: [(1, 1), (3, 5), (17, 33), (513, 1029)]
      case 32: [(1, 32), (3, 64), (17, 96), (513, 1056)]
      default: [(1, 256), (3, 512), (17, 256), (513, 1280)]
      }
    }

    /// A sum of n products, in any order, each term rounded at most n + 1 times (and once more when added to existing
    /// values):
    ///
    ///     |error| ≤ (n + 2) u (Σ |w| |x| + |y₀|) / (1 − (n + 2) u)
    @Test(
      "products equal the oracle and touch nothing else",
      arguments: ElementType.allCases.filter(\.isGGUF))
    func equalsOracle(type: ElementType) throws {
      for (rows, columns) in Self.shapes(type) {
        // Odd gaps put rows at odd addresses.
        for gap in rows < 100 ? [0, 1, 4] : [0] {
          let w = try GuardedMatrix(type, rows: rows, columns: columns, seed: 1, gap: gap)
          for direction in Direction.allCases {
            let n = w.inputs(direction), count = w.outputs(direction)
            let x = normal(n * 64, seed: 2)
            let before = normal(count * 64, seed: 3)
            let (values, magnitudes) = w.oracle(direction, x, vectors: 64)
            let slope = Double(n + 2) * roundoff / (1 - Double(n + 2) * roundoff)
            KernelTests.withEachInstructionSet { set in
              for b in Self.widths {
                for (padding, accumulating) in [(0, false), (3, false), (5, true)] {
                  let ldx = b + padding, ldy = b + 2 * padding
                  let input = lanes(Array(0..<b), of: x, vectors: 64, stride: ldx)
                  // NaN where nothing may be read; NaN with bits that arithmetic does not produce where nothing may
                  // be written.
                  let untouched = Float(nan: 0x1234, signaling: false)
                  var y = [Float](repeating: untouched, count: count * ldy)
                  if accumulating {
                    for i in 0..<count { for j in 0..<b { y[i * ldy + j] = before[i * 64 + j] } }
                  }
                  w.multiply(
                    direction, input, stride: ldx, into: &y, stride: ldy, vectors: b,
                    accumulating: accumulating)
                  var wrong = 0
                  for i in 0..<count {
                    for j in 0..<b {
                      let start = accumulating ? Double(before[i * 64 + j]) : 0
                      let error = Double(y[i * ldy + j]) - values[i * 64 + j] - start
                      let bound = slope * (magnitudes[i * 64 + j] + abs(start))
                      if !(abs(error) <= bound) { wrong += 1 }
                    }
                    for j in b..<ldy where y[i * ldy + j].bitPattern != untouched.bitPattern {
                      wrong += 1
                    }
                  }
                  #expect(
                    wrong == 0,
                    "\(direction) \(rows) × \(columns), b \(b), set \(set), gap \(gap), \(accumulating)"
                  )
                }
              }
            }
          }
        }
      }
    }

    /// A term is rounded once as a product, then in every sum it is part of:
    ///
    ///     forward    ≤ 64 times in the sum of its strip (256 columns in 4 lanes or more), n / 256 times in those of
    ///     other strips,
    ///                and ≤ 5 times when at most 16 lanes are summed
    ///     adjoint    ≤ 32 times in the sum of its rows, 32 times in that of its part (1024 rows), n / 1024 times in
    ///     those of
    ///                other parts
    ///
    /// and |error| ≤ d u / (1 − d u) Σ |w| |x| for d rounding errors. A sum that starts with 1 loses every later term
    /// below 2⁻²⁴: without parts, all terms of 2⁻²⁵ that follow in its lane, which is more than the bound.
    @Test("long sums are summed in parts", arguments: [0, 25, 30])
    func parts(exponent: Int) throws {
      let (n, few, small) = (16384, 3, Float(sign: .plus, exponent: -exponent, significand: 1))
      for direction in Direction.allCases {
        let (rows, columns) = direction == .forward ? (few, n) : (n, few)
        // The exponent 0 stands for random terms of the same sign.
        let random = normal(few * n, seed: 17).map(abs)
        let weights = (0..<rows * columns).map { i in
          let term = direction == .forward ? i % columns : i / columns
          return exponent == 0 ? random[i] : term < (direction == .forward ? 4 : 1) ? 1 : small
        }
        let w = StoredMatrix(Matrix(rows: rows, columns: columns, elements: weights))
        let sums = (0..<few).map { o in
          (0..<n).reduce(0.0) { sum, i in
            sum + Double(weights[direction == .forward ? o * n + i : i * few + o])
          }
        }
        KernelTests.withEachInstructionSet { set in
          for b in [1, 8, 40] {
            let x = [Float](repeating: 1, count: n * b)
            var y = [Float](repeating: .nan, count: few * b)
            let multiply = direction == .forward ? Float.multiply : Float.multiplyAdjoint
            multiply(w, x, b, &y, b, b, false)
            let depth = Double(84 + n / 256)
            for i in y.indices {
              let bound = depth * roundoff / (1 - depth * roundoff) * sums[i / b]
              #expect(abs(Double(y[i]) - sums[i / b]) <= bound, "\(direction), b \(b), set \(set)")
            }
          }
        }
      }
    }

    /// ⟨W x, y⟩ = ⟨x, Wᵀ y⟩ up to (m + n + 4) u Σ |y| |W| |x|: both sides are sums of the same terms.
    @Test(
      "the adjoint is the adjoint", arguments: ElementType.allCases.filter(\.isGGUF),
      [1, 8, 21, 40])
    func adjointIdentity(type: ElementType, b: Int) throws {
      let w = try GuardedMatrix(type, rows: 300, columns: 768, seed: 6)
      let x = normal(w.columns * b, seed: 7), y = normal(w.rows * b, seed: 8)
      KernelTests.withEachInstructionSet { set in
        let wx = w.product(.forward, x, vectors: b)
        let wty = w.product(.adjoint, y, vectors: b)
        let magnitudes = w.oracle(.forward, x, vectors: b).magnitudes
        for j in 0..<b {
          var (left, right, bound) = (0.0, 0.0, 0.0)
          for r in 0..<w.rows {
            left += Double(wx[r * b + j]) * Double(y[r * b + j])
            bound += magnitudes[r * b + j] * abs(Double(y[r * b + j]))
          }
          for c in 0..<w.columns { right += Double(wty[c * b + j]) * Double(x[c * b + j]) }
          #expect(
            abs(left - right) <= Double(w.rows + w.columns + 4) * roundoff * bound, "set \(set)")
        }
      }
    }

    @Test(
      "a vector's product does not depend on its companions",
      arguments: ElementType.allCases.filter(\.isGGUF))
    func companions(type: ElementType) throws {
      let w = try GuardedMatrix(type, rows: 77, columns: 768, seed: 9, gap: 2)
      let most = Engine.independentVectors
      for direction in Direction.allCases {
        let x = normal(w.inputs(direction) * most, seed: 10)
        KernelTests.withEachInstructionSet { set in
          let together = w.product(direction, x, vectors: most)
          for b in 1...most {
            // In another order each time, so that every vector occurs in many positions.
            let chosen = (0..<b).map { ($0 * 5 + b) % most }
            let some = w.product(direction, lanes(chosen, of: x, vectors: most), vectors: b)
            #expect(
              some == lanes(chosen, of: together, vectors: most), "\(direction), b \(b), set \(set)"
            )
          }
        }
      }
    }

    /// Many vectors are split into portions, each computed as if it came alone.
    @Test("vectors beyond a portion change nothing", arguments: [ElementType.f32, .f16, .q4_1])
    func portions(type: ElementType) throws {
      let w = try GuardedMatrix(type, rows: 45, columns: 288, seed: 15, gap: 4)
      let portion = Engine.vectorsAtOnce
      let count = 2 * portion + 44
      for direction in Direction.allCases {
        let x = normal(w.inputs(direction) * count, seed: 16)
        KernelTests.withEachInstructionSet { set in
          let together = w.product(direction, x, vectors: count)
          let middle = Array(portion..<2 * portion)
          let alone = w.product(direction, lanes(middle, of: x, vectors: count), vectors: portion)
          #expect(alone == lanes(middle, of: together, vectors: count), "\(direction), set \(set)")
        }
      }
    }

    @Test("NaN and infinity stay in their vector")
    func companionsWithNaN() throws {
      let w = try GuardedMatrix(.bf16, rows: 50, columns: 300, seed: 11)
      for direction in Direction.allCases {
        let n = w.inputs(direction)
        let clean = normal(n * 6, seed: 12)
        var dirty = clean
        for i in 0..<n { (dirty[i * 6 + 2], dirty[i * 6 + 4]) = (.nan, .infinity) }
        KernelTests.withEachInstructionSet { _ in
          let expected = lanes(
            [0, 1, 3, 5], of: w.product(direction, clean, vectors: 6), vectors: 6)
          let found = lanes([0, 1, 3, 5], of: w.product(direction, dirty, vectors: 6), vectors: 6)
          #expect(found == expected)
        }
      }
    }

    /// Rows that begin within a line of the cache are divided at whole lines; those of the widths here are a whole number of lines.
    @Test(
      "where the weights begin in memory changes no bit",
      arguments: [ElementType.f32, .bf16, .f16],
      [(rows: 37, columns: 1024), (rows: 1041, columns: 1056)])
    func places(type: ElementType, shape: (rows: Int, columns: Int)) throws {
      let (rows, columns) = shape
      let aligned = try GuardedMatrix(type, rows: rows, columns: columns, seed: 17)
      #expect(UInt(bitPattern: aligned.kernel.data) % 64 == 0)
      let matrices = try [1, 2, 7, 15, 64 / type.blockBytes - 1].map {
        try GuardedMatrix(
          type, rows: rows, columns: columns, seed: 17, after: $0 * type.blockBytes)
      }
      for direction in Direction.allCases {
        let count = aligned.outputs(direction)
        for b in [1, 6, 8, 32] {
          let x = normal(aligned.inputs(direction) * b, seed: 18)
          let before = normal(count * (b + 1), seed: 19)
          for set in Engine.InstructionSet.allCases {
            for threads in [1, 2, 5] {
              Engine(set, threads: threads)?.use {
                for accumulating in [false, true] {
                  let image = { (w: GuardedMatrix) in
                    var y = before
                    w.multiply(
                      direction, x, stride: b, into: &y, stride: b + 1, vectors: b,
                      accumulating: accumulating)
                    return y
                  }
                  let expected = image(aligned)
                  for w in matrices {
                    #expect(
                      image(w) == expected,
                      "\(direction), b \(b), set \(set), \(threads) threads, \(accumulating)")
                  }
                }
              }
            }
          }
        }
      }
    }

    @Test(
      "the number of threads changes no bit", arguments: [ElementType.f32, .bf16, .q4_1, .q4_K])
    func threads(type: ElementType) throws {
      let w = try GuardedMatrix(type, rows: 300, columns: 2560, seed: 13)
      for direction in Direction.allCases {
        for b in [1, 8, 31, 64] {
          let x = normal(w.inputs(direction) * b, seed: 14)
          KernelTests.withEachInstructionSet { set in
            let alone = w.product(direction, x, vectors: b)
            for threads in [2, 3, 5] {
              Engine(set, threads: threads)?.use {
                #expect(
                  w.product(direction, x, vectors: b) == alone,
                  "\(direction), b \(b), set \(set), \(threads) threads")
              }
            }
          }
        }
      }
    }

    @Test("products of nothing")
    func empty() throws {
      var y: [Float] = [1, 2, 3, 4, 5, 6]
      var w = ck_matrix(
        data: nil, rows: 2, columns: 0, row_bytes: 0, type: 0, scales: nil,
        first_row: 0, first_column: 0)
      ck_multiply(Engine.current, &w, [], 3, &y, 3, 3, 1)
      #expect(y == [1, 2, 3, 4, 5, 6])
      ck_multiply(Engine.current, &w, [], 3, &y, 3, 2, 0)
      #expect(y == [0, 0, 3, 0, 0, 6])
      w = ck_matrix(
        data: nil, rows: 0, columns: 2, row_bytes: 8, type: 0, scales: nil,
        first_row: 0, first_column: 0)
      y = [1, 2, 3, 4, 5, 6]
      ck_multiply_adjoint(Engine.current, &w, [], 3, &y, 3, 1, 0)
      #expect(y == [0, 2, 3, 0, 5, 6])
      ck_multiply(Engine.current, &w, y, 3, &y, 3, 0, 0)
      #expect(y == [0, 2, 3, 0, 5, 6])
    }
  }
}
