import Foundation
import LinearAlgebra
import TestSupport
import Testing

@testable import Lanczos

/// Values that a single start vector cannot find.
@Suite struct MissedTripletTests {
  private static let n = 128

  /// Repeated values at the top, across the cut and below it; clusters; all values equal; the identity plus a small
  /// map.
  private static let spectra: [(name: String, values: [Double])] = [
    ("12 equal", Array(repeating: 5, count: 12) + fall(4.5, n - 12)),
    ("30 equal", Array(repeating: 5, count: 30) + fall(4.5, n - 30)),
    (
      "5 equal across the cut",
      fall(5, 8, to: 4) + Array(repeating: 3.9, count: 5) + fall(3, n - 13)
    ),
    ("pairs", fall(5, n / 2).flatMap { [$0, $0] }),
    ("cluster of 1e-9", (0..<12).map { 5 + 1e-9 * Double($0) } + fall(4.5, n - 12)),
    ("cluster of 1e-4", (0..<12).map { 5 + 1e-4 * Double($0) } + fall(4.5, n - 12)),
    ("identity", Array(repeating: 1, count: n)),
    ("identity plus small", (0..<n).map { 1 + 1e-3 * Double($0 % 7) }),
    ("20 equal, then nothing", Array(repeating: 2, count: 20) + Array(repeating: 0, count: n - 20)),
    ("1/k", (1...n).map { 1 / Double($0) }),
  ]

  private static func fall(_ first: Double, _ count: Int, to last: Double = 0.1) -> [Double] {
    (0..<count).map { first + (last - first) * Double($0) / Double(count - 1) }
  }

  /// A converged answer is complete: every value is as large as the true one minus the tolerance.
  @Test(arguments: spectra.indices, [false, true])
  func arpackMissesNothing(spectrum: Int, single: Bool) throws {
    let values = Self.spectra[spectrum].values.sorted(by: >)
    for seed in 0..<3 as Range<UInt64> {
      let dense = operatorWithSpectrum(values, rows: Self.n, columns: Self.n, seed: seed + 40)
      let a: any LinearOperator = single ? SinglePrecisionOperator(dense) : dense
      let found = try ARPACKSolver(seed: seed).partialSVD(of: a, count: 10).requireConverged()
      for (i, value) in found.singularValues.enumerated() {
        // The residual norm bounds the error of a value (Weyl); the search treats smaller differences as equal.
        #expect(abs(value - values[i]) <= 2.1e-5 * values[0], "σ\(i), seed \(seed)")
      }
      #expect(orthonormalityDefect(found.rightVectors) < 1e-12)
      #expect(orthonormalityDefect(found.leftVectors) < 1e-12)
    }
  }

  /// A tall and a wide operator; the latter is solved as its adjoint.
  @Test(arguments: [(150, 60), (60, 150)])
  func inBothOrientations(shape: (Int, Int)) throws {
    let values = Array(repeating: 3.0, count: 9) + Self.fall(2, 51)
    let a = operatorWithSpectrum(values, rows: shape.0, columns: shape.1, seed: 4)
    let found = try ARPACKSolver(seed: 1).partialSVD(of: a, count: 12).requireConverged()
    for (i, value) in found.singularValues.enumerated() {
      #expect(abs(value - values[i]) <= 2.1e-5 * 3)
    }
  }

  /// For p = 2, ‖g‖² / 2 is exponential: P(‖g‖ < η) = 1 − e^(−η²/2).
  @Test func leastNormIsTheQuantile() {
    let exact = (-2 * log1p(-1e-6)).squareRoot()
    #expect(
      abs(GaussianBlock.leastSingularValue(rows: 2, failureProbability: 1e-6) / exact - 1) < 1e-6)
    #expect(abs(GaussianBlock.leastSingularValue(rows: 8, failureProbability: 1e-6) - 0.374) < 1e-3)
  }
}
