import Weights
import CKernels
import LinearAlgebra
import Testing

extension KernelTests {
  /// C ← B Yᵀ, Y ← Y − Cᵀ B in double precision.
  @Suite struct Basis {
    /// Each entry is a sum of n (or count + 1) products, in any order: |error| ≤ (n + 2) u Σ |terms| for C, and for Y
    /// (count + 3) u Σ |terms| plus the error propagated from C, at most that of C times |B|. B and Y are of order
    /// one and their terms at most 36 in size; the factor 4 covers neglected rounding.
    @Test(
      "the projection equals the plain loops",
      arguments: [(1, 1, 1), (3, 7, 2), (5, 300, 9), (40, 515, 8), (33, 64, 12), (0, 5, 3)])
    func equalsOracle(count: Int, n: Int, b: Int) {
      let basis = normal(count * n, seed: 1).map { Double($0) }
      let before = normal(b * n, seed: 2).map { Double($0) }
      var (dots, rest) = ([Double](repeating: 0, count: count * b), before)
      for r in 0..<count {
        for j in 0..<b {
          for i in 0..<n { dots[r * b + j] += basis[r * n + i] * before[j * n + i] }
        }
      }
      for r in 0..<count {
        for j in 0..<b { for i in 0..<n { rest[j * n + i] -= basis[r * n + i] * dots[r * b + j] } }
      }
      let u = 0x1p-53
      let dotError = 4 * Double(n + 2) * u * 36 * Double(n)
      let restError =
        4 * Double(count) * (6 * dotError + Double(count + 3) * u * 36 * 6 * Double(n))
      KernelTests.withEachInstructionSet { set in
        var results: [[Double]] = []
        for threads in [1, 3] {
          Engine(set, threads: threads)?.use {
            var (c, y) = ([Double](repeating: .nan, count: count * b), before)
            ck_project_out(
              Engine.current, basis, Int64(count), Int64(n), &y, Int64(b), &c)
            #expect(zip(c, dots).allSatisfy { abs($0 - $1) <= dotError }, "set \(set)")
            #expect(zip(y, rest).allSatisfy { abs($0 - $1) <= restError }, "set \(set)")
            results.append(c + y)
            var alone = [Double](repeating: .nan, count: count * b)
            ck_dots(Engine.current, basis, Int64(count), Int64(n), before, Int64(b), &alone)
            #expect(alone == c, "set \(set)")
          }
        }
        #expect(results[0] == results[1], "threads must not change a bit, set \(set)")
      }
    }
  }
}
