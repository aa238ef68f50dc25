import Foundation
import LinearAlgebra

/// An error in a Matrix Market file.
struct MatrixMarketError: Error, CustomStringConvertible {
  let description: String
}

/// A sparse matrix in double precision, row by row, as an operator.
final class SparseMatrix: LinearOperator {
  let outputDimension: Int
  let inputDimension: Int
  /// The start of each row in `columns` and `values`, and the end of the last one.
  private let starts: [Int]
  private let columns: [Int]
  private let values: [Double]

  /// Reads the general real matrix in coordinates of a Matrix Market file (Boisvert et al., NISTIR 5935).
  init(matrixMarket path: String) throws {
    func wrong(_ what: String) -> MatrixMarketError {
      MatrixMarketError(description: "\(path): \(what)")
    }
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let lines = text.split(whereSeparator: \.isNewline)
    guard lines.first?.lowercased() == "%%matrixmarket matrix coordinate real general" else {
      throw wrong("not a general real matrix in coordinates")
    }
    let content = lines.drop { $0.hasPrefix("%") }
    guard let sizes = content.first?.split(separator: " ").map({ Int($0) }), sizes.count == 3,
      let m = sizes[0], let n = sizes[1], let count = sizes[2], m > 0, n > 0,
      count == content.count - 1
    else { throw wrong("the line of sizes does not fit the lines of entries") }
    var rows: [[(column: Int, value: Double)]] = Array(repeating: [], count: m)
    for line in content.dropFirst() {
      let fields = line.split(separator: " ")
      guard fields.count == 3, let i = Int(fields[0]), let j = Int(fields[1]),
        let value = Double(fields[2]), 1...m ~= i, 1...n ~= j
      else { throw wrong("no entry of a \(m) × \(n) matrix: \(line)") }
      rows[i - 1].append((j - 1, value))
    }
    (outputDimension, inputDimension) = (m, n)
    starts = rows.reduce(into: [0]) { $0.append($0.last! + $1.count) }
    columns = rows.flatMap { $0.map(\.column) }
    values = rows.flatMap { $0.map(\.value) }
  }

  func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    for k in 0..<b {
      for i in 0..<outputDimension {
        var sum = 0.0
        for e in starts[i]..<starts[i + 1] { sum += values[e] * v[k * inputDimension + columns[e]] }
        y[k * outputDimension + i] = sum
      }
    }
  }

  func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    for k in 0..<b * inputDimension { x[k] = 0 }
    for k in 0..<b {
      for i in 0..<outputDimension {
        let factor = u[k * outputDimension + i]
        for e in starts[i]..<starts[i + 1] {
          x[k * inputDimension + columns[e]] += values[e] * factor
        }
      }
    }
  }
}

/// The diagonal matrix diag(1, …, n).
final class CountingDiagonal: LinearOperator {
  let size: Int
  init(_ size: Int) { self.size = size }

  var inputDimension: Int { size }
  var outputDimension: Int { size }

  func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    for k in 0..<b { for i in 0..<size { y[k * size + i] = Double(i + 1) * v[k * size + i] } }
  }

  func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    apply(u, into: &x, vectors: b)
  }
}
