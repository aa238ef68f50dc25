import CKernels
import LinearAlgebra
import Testing
import Weights

extension KernelTests {
  @Suite struct Combinations {
    /// M = diag(d₁) W₁ + diag(d₂) W₂ of every stored type, to |error| ≤ 3 u Σ |d| |w|, since a term is rounded as a product and
    /// in the sum, or once where both are fused.
    @Test(
      "combinations equal the oracle", arguments: ElementType.allCases.filter(\.isGGUF))
    func equalsOracle(type: ElementType) throws {
      for (rows, columns) in Products.shapes(type) {
        let parts = try [1, 2].map { seed in
          try GuardedMatrix(type, rows: rows, columns: columns, seed: UInt64(seed), gap: 1)
        }
        let factors = [normal(rows, seed: 3), normal(rows, seed: 4)]
        KernelTests.withEachInstructionSet { set in
          var m = [Float](repeating: .nan, count: rows * columns)
          withUnsafePointer(to: parts[0].kernel) { first in
            withUnsafePointer(to: parts[1].kernel) { second in
              factors[0].withUnsafeBufferPointer { d1 in
                factors[1].withUnsafeBufferPointer { d2 in
                  ck_combine(
                    Engine.current, 2, [first, second], [d1.baseAddress, d2.baseAddress], &m)
                }
              }
            }
          }
          var wrong = 0
          for i in m.indices {
            let terms = (0..<2).map {
              Double(factors[$0][i / columns]) * Double(parts[$0].widened[i])
            }
            let error = abs(Double(m[i]) - terms[0] - terms[1])
            if !(error <= 3 * 0x1p-24 * (abs(terms[0]) + abs(terms[1]))) { wrong += 1 }
          }
          #expect(wrong == 0, "\(rows) × \(columns), set \(set)")
        }
      }
    }
  }
}
