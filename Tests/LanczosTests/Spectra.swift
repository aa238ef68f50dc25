import Foundation
import Lanczos
import LinearAlgebra
import TestSupport
import Testing

/// A chosen spectrum, the shape of the matrix, and the number of triplets to request.
struct Problem: Sendable, CustomTestStringConvertible {
  let name: String
  let values: [Double]
  let rows: Int
  let columns: Int
  let count: Int
  var testDescription: String { "\(name) \(rows)×\(columns), k = \(count)" }

  init(_ name: String, _ values: [Double], rows: Int, columns: Int, count: Int) {
    self.name = name
    self.values = values.sorted(by: >)
    self.rows = rows
    self.columns = columns
    self.count = count
  }

  func makeOperator(seed: UInt64 = 11) -> DenseOperator {
    operatorWithSpectrum(values, rows: rows, columns: columns, seed: seed)
  }

  /// σᵢ, zero beyond the rank.
  func value(_ i: Int) -> Double { i < values.count ? values[i] : 0 }
}

/// A spectrum that decays like those of residual Jacobians of a trained transformer.
func jacobianLike(_ n: Int) -> [Double] { (0..<n).map { 56 * pow(Double($0 + 1), -0.6) } }

/// The spectrum σᵢ = value(i), i = 0 … n − 1.
private func spectrum(_ n: Int, _ value: (Double) -> Double) -> [Double] {
  (0..<n).map { value(Double($0)) }
}

private let geometric = spectrum(80) { pow(0.8, $0) }
private let steep = spectrum(40) { pow(0.2, $0) }
private let flatThenDrop = spectrum(60) { $0 < 6 ? 1 + 0.01 * $0 : 0.1 / $0 }
private let clusters = spectrum(20) { 4 / (1 + $0) }.flatMap { [$0, $0 + 1e-3, $0 + 2e-3] }
private let slow = spectrum(100) { 1 - 0.009 * $0 }
private let identity = spectrum(40) { _ in 1 }
private let identityPlusSmall = spectrum(40) { 1 + 1e-9 * $0 }

/// Spectra that are known to break solvers. No value is repeated more often than any solver's block is wide: in exact
/// arithmetic, a Krylov space contains no further copies (see `repeatedValues`).
let problems: [Problem] = [
  Problem("power", jacobianLike(120), rows: 120, columns: 120, count: 10),
  Problem("power, tall", jacobianLike(60), rows: 150, columns: 60, count: 7),
  Problem("power, wide", jacobianLike(60), rows: 60, columns: 150, count: 7),
  Problem("geometric", geometric, rows: 80, columns: 90, count: 10),
  Problem("steep", steep, rows: 70, columns: 70, count: 8),
  Problem(
    "flat then drop", flatThenDrop,
    rows: 60, columns: 64, count: 6),
  Problem(
    "clusters", clusters,
    rows: 64, columns: 60, count: 9),
  Problem("slow", slow, rows: 100, columns: 100, count: 5),
  Problem("rank 3", [3, 2, 1], rows: 50, columns: 40, count: 8),
  Problem("zero", [0], rows: 30, columns: 40, count: 4),
  Problem("identity", identity, rows: 40, columns: 40, count: 12),
  Problem(
    "identity plus small", identityPlusSmall, rows: 40, columns: 40, count: 5),
  Problem("k = n − 1", jacobianLike(12), rows: 12, columns: 20, count: 11),
  Problem("k = n", jacobianLike(12), rows: 20, columns: 12, count: 12),
  Problem("k = n − 2", jacobianLike(12), rows: 12, columns: 12, count: 10),
  Problem("2 × 3", [2, 1], rows: 2, columns: 3, count: 1),
  Problem("3 × 3", [2, 1, 0.5], rows: 3, columns: 3, count: 1),
  Problem("1 × 1", [5], rows: 1, columns: 1, count: 1),
  Problem("1 × 9", [5], rows: 1, columns: 9, count: 1),
]

/// ‖R Rᵀ − I‖_max, the deviation of rows from orthonormality.
func orthonormalityDefect(_ r: Matrix<Double>) -> Double {
  let gram = Matrix.product(r, .none, r, .transposed)
  return (gram - .identity(r.rows)).elements.map(abs).max() ?? 0
}
