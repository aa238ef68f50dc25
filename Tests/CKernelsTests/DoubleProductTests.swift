import CKernels
import LinearAlgebra
import Testing
import Weights

extension GuardedMatrix {
  /// The product in double precision with `b` interleaved vectors, added to `start` unless that is nil; (outputs, b).
  fileprivate func doubles(
    _ direction: Direction, _ x: [Double], vectors b: Int, addedTo start: [Double]? = nil
  ) -> [Double] {
    let function = direction == .forward ? ck_multiply_f64 : ck_multiply_adjoint_f64
    var y = start ?? [Double](repeating: .nan, count: outputs(direction) * b)
    function(
      Engine.current, &kernel, x, Int64(b), &y, Int64(b), Int64(b), start == nil ? 0 : 1)
    return y
  }

  /// Weight (r, c) as products in double precision use it.
  fileprivate func weight(_ r: Int, _ c: Int) -> Double {
    guard elementType == .f64 else { return Double(widened[r * columns + c]) }
    return (kernel.data + r * Int(kernel.row_bytes) + 8 * c).loadUnaligned(as: Double.self)
  }

  private var elementType: ElementType? { ElementType(rawValue: kernel.type) }
}

/// a + b = sum + error exactly (Knuth).
private func twoSum(_ a: Double, _ b: Double) -> (sum: Double, error: Double) {
  let sum = a + b, z = sum - a
  return (sum, (a - (sum - z)) + (b - z))
}

/// The vectors `chosen` of an (n, b) block, contiguous.
private func taken(_ chosen: [Int], of x: [Double], vectors b: Int) -> [Double] {
  (0..<x.count / b).flatMap { i in chosen.map { x[i * b + $0] } }
}

private func normals(_ count: Int, seed: UInt64) -> [Double] {
  var generator = SeededGenerator(seed: seed)
  return (0..<count).map { _ in generator.normal() }
}

extension KernelTests {
  /// The products in double precision.
  @Suite struct DoubleProducts {
    /// The reference sums every product, split exactly in two, and carries the errors of its sums along: accurate to
    /// u |sum| + n² u² Σ |terms|, u = 2⁻⁵³, whose second part is below u Σ |terms| for n < 2²⁶. So with the kernels'
    /// own n + 2 rounding errors per term:
    ///
    ///     |error| ≤ (n + 5) u (Σ |w| |x| + |y₀|)
    ///
    /// 513 rows and 1280 columns: more than one group of groups of rows, more than one strip, and neither a whole
    /// number.
    @Test(
      "equal sums of twice the precision",
      arguments: ElementType.allCases.filter(\.isGGUF), [(19, 512), (513, 1280)])
    func equalsReference(type: ElementType, shape: (rows: Int, columns: Int)) throws {
      let ragged = type.blockLength == 1 && shape.rows > 100 ? 5 : 0
      let w = try GuardedMatrix(
        type, rows: shape.rows, columns: shape.columns - ragged, seed: 4, gap: 3)
      let widths = shape.rows < 100 ? [1, 5, 34] : [3, 40]
      for direction in Direction.allCases {
        let n = w.inputs(direction), count = w.outputs(direction), most = widths.max()!
        let x = normals(n * most, seed: 5), before = normals(count * most, seed: 6)
        // Only some of the outputs, since all would take long.
        let places = stride(from: 0, to: count, by: shape.rows < 100 ? 5 : 89).map { $0 }
        var (values, magnitudes): ([Double], [Double]) = ([], [])
        for i in places {
          for j in 0..<most {
            var (sum, rest, magnitude) = (0.0, 0.0, 0.0)
            for k in 0..<n {
              let weight = direction == .forward ? w.weight(i, k) : w.weight(k, i)
              let product = weight * x[k * most + j]
              let partial = twoSum(sum, product)
              rest += partial.error + (-product).addingProduct(weight, x[k * most + j])
              sum = partial.sum
              magnitude += abs(product)
            }
            values.append(sum + rest)
            magnitudes.append(magnitude)
          }
        }
        KernelTests.withEachInstructionSet { set in
          for b in widths {
            for start in [nil, taken(Array(0..<b), of: before, vectors: most)] {
              let y = w.doubles(
                direction, taken(Array(0..<b), of: x, vectors: most), vectors: b, addedTo: start)
              let wrong = places.indices.flatMap { p in (0..<b).map { (p, $0) } }.filter { p, j in
                let begin = start?[places[p] * b + j] ?? 0
                let error = y[places[p] * b + j] - begin - values[p * most + j]
                return
                  !(abs(error)
                  <= Double(n + 5) * 0x1p-53 * (magnitudes[p * most + j] + abs(begin)))
              }
              #expect(wrong.isEmpty, "\(direction), b \(b), set \(set), \(start != nil)")
            }
          }
        }
      }
    }

    @Test(
      "neither companions nor threads change a bit",
      arguments: [ElementType.f64, .f32, .bf16, .f16, .q4_1, .q4_K])
    func companionsAndThreads(type: ElementType) throws {
      let w = try GuardedMatrix(type, rows: 300, columns: 2560, seed: 9, gap: 2)
      let most = Engine.independentVectors
      for direction in Direction.allCases {
        let x = normals(w.inputs(direction) * most, seed: 10)
        KernelTests.withEachInstructionSet { set in
          let together = w.doubles(direction, x, vectors: most)
          for (b, threads) in [(1, 3), (2, 1), (7, 2), (8, 5), (21, 1), (32, 2)] {
            let chosen = (0..<b).map { ($0 * 5 + b) % most }
            Engine(set, threads: threads)?.use {
              let some = w.doubles(direction, taken(chosen, of: x, vectors: most), vectors: b)
              #expect(
                some == taken(chosen, of: together, vectors: most),
                "\(direction), b \(b), set \(set), \(threads) threads")
            }
          }
        }
      }
    }

    @Test(
      "where the weights begin in memory changes no bit",
      arguments: [ElementType.f64, .f32, .bf16, .f16])
    func places(type: ElementType) throws {
      let w = try GuardedMatrix(type, rows: 531, columns: 1056, seed: 11)
      let others = try [1, 3, 64 / type.blockBytes - 1].map {
        try GuardedMatrix(
          type, rows: w.rows, columns: w.columns, seed: 11, after: $0 * type.blockBytes)
      }
      for direction in Direction.allCases {
        for (b, threads) in [(1, 1), (6, 2), (32, 3)] {
          let x = normals(w.inputs(direction) * b, seed: 12)
          for set in Engine.InstructionSet.allCases {
            Engine(set, threads: threads)?.use {
              let expected = w.doubles(direction, x, vectors: b)
              for other in others {
                #expect(
                  other.doubles(direction, x, vectors: b) == expected,
                  "\(direction), b \(b), set \(set), \(threads) threads")
              }
            }
          }
        }
      }
    }

    /// Weights from 0.5 to 1 in steps of 2⁻⁷ and integers below 2²⁰ give sums below 2⁵³ steps: nothing is rounded.
    @Test("sums that are representable are exact", arguments: [6, 48, 140])
    func exact(b: Int) throws {
      let (rows, columns) = (35, 777)
      let weights = (0..<rows * columns).map { Float(64 + $0 * 37 % 64) / 128 }
      let w = StoredMatrix(Matrix(rows: rows, columns: columns, elements: weights))
      let x = (0..<columns * b).map { Double($0 * 7919 % 1_048_573) - 500_000 }
      var expected = [Double](repeating: 0, count: rows * b)
      for r in 0..<rows {
        for c in 0..<columns {
          for j in 0..<b {
            expected[r * b + j] += Double(weights[r * columns + c]) * x[c * b + j]
          }
        }
      }
      KernelTests.withEachInstructionSet { set in
        var y = [Double](repeating: .nan, count: rows * b)
        Double.multiply(w, x, stride: b, into: &y, stride: b, vectors: b, accumulating: false)
        #expect(y == expected, "set \(set)")
      }
    }
  }
}
