import Files
import Foundation
import LinearAlgebra
import Testing
import Weights

@testable import Checkpoint

/// A matrix, or a stack of matrices, in each of the formats of quantization.py.
@Suite struct QuantizedTests {
  static let names: [String] = {
    let folder = try? fixture("quantized")
    let files = folder.flatMap { try? FileManager.default.contentsOfDirectory(atPath: $0) } ?? []
    return files.filter { $0.hasSuffix(".safetensors") }.map { String($0.dropLast(12)) }.sorted()
  }()

  /// The stored tensors of a fixture, and its weights under the quantisation scheme that its metadata describe.
  static func open(_ name: String) throws -> (stored: SafetensorsFile, weights: QuantizedTensors) {
    let file = try SafetensorsFile(try fixture("quantized/\(name).safetensors"))
    let text = try #require(file.metadata["config"])
    let config = try #require(try JSONValue.parse(Array(text.utf8), source: name).object)
    let method = try #require(config["quant_method"]?.string)
    var scheme = QuantizationScheme(try #require(.init(rawValue: method)))
    scheme.zerosAreLessOne = config["checkpoint_format"]?.string != "gptq_v2"
    if let sides = config["weight_block_size"]?.array?.compactMap(\.int) {
      scheme.block = (sides[0], sides[1])
    }
    return (file, try QuantizedTensors(file, scheme: scheme))
  }

  static func expected(_ name: String) throws -> [Float] {
    let raw = try MappedFile(try fixture("quantized/\(name).f32"))
    return try raw.copy(0..<raw.count).withUnsafeBytes { bytes in
      (0..<raw.count / 4).map {
        Float(bitPattern: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self))
      }
    }
  }

  @Test func formats() { #expect(Self.names.count >= 20) }

  @Test("the stored parts become one weight, equal to the reference bit for bit", arguments: names)
  func bits(name: String) throws {
    let (file, source) = try Self.open(name)
    let expected = try Self.expected(name)
    #expect(source.tensors.count == 1)
    let info = try #require(source.tensors.first)
    #expect(info.count == expected.count)
    let quantised = file.tensors.filter { !$0.name.contains("input_scale") }
    #expect(info.byteRange.count == quantised.reduce(0) { $0 + $1.byteRange.count })
    for set in Engine.InstructionSet.allCases {
      try Engine(set, threads: 1)?.use {
        let numbers = try source.tensor(info.name).numbers()
        let differing = numbers.indices.filter { numbers[$0].bitPattern != expected[$0].bitPattern }
        #expect(differing.isEmpty, "\(set): \(differing.count), first \(differing.prefix(3))")
      }
    }
  }

  /// The weight, or the matrices of its stack, as (outputs, inputs).
  private func matrices(_ source: QuantizedTensors) throws -> [StoredMatrix] {
    let tensor = try source.tensor(source.tensors[0].name)
    guard tensor.shape.count == 3 else { return [try tensor.matrix()] }
    return try tensor.matrices(
      count: tensor.shape[0], rows: tensor.shape[1], columns: tensor.shape[2])
  }

  /// A sum of n products in any order: |error| ≤ (n + 2) u Σ |w| |x| / (1 − (n + 2) u).
  @Test("products with the weight and its slices equal the oracle", arguments: names)
  func products(name: String) throws {
    let (_, source) = try Self.open(name)
    var all = try Self.expected(name)
    for matrix in try matrices(source) {
      let count = matrix.rows * matrix.columns
      let weights = Array(all.prefix(count))
      all.removeFirst(count)
      for range in [0..<matrix.rows, 3..<matrix.rows - 2, matrix.rows - 1..<matrix.rows] {
        let part = matrix.rows(range)
        let numbers = Array(
          weights[range.lowerBound * matrix.columns..<range.upperBound * matrix.columns])
        #expect(part.row(0) == Array(numbers.prefix(matrix.columns)))
        for set in Engine.InstructionSet.allCases {
          Engine(set, threads: 1)?.use {
            for b in [1, 3, 8, 40] {
              check(part, numbers, vectors: b, adjoint: false, "\(set), \(range)")
              check(part, numbers, vectors: b, adjoint: true, "\(set), \(range)")
            }
          }
        }
      }
    }
    #expect(all.isEmpty)
  }

  /// Views of some columns, from any column on, as scales are counted from the first column of the stored matrix.
  @Test("products with some columns equal the oracle", arguments: names)
  func columns(name: String) throws {
    let (_, source) = try Self.open(name)
    let matrix = try #require(try matrices(source).first)
    let weights = Array(try Self.expected(name).prefix(matrix.rows * matrix.columns))
    for range in [0..<5, 3..<matrix.columns - 2, 8..<8] {
      let part = matrix.columns(range).rows(1..<matrix.rows)
      let numbers = (1..<matrix.rows).flatMap { r in
        weights[r * matrix.columns + range.lowerBound..<r * matrix.columns + range.upperBound]
      }
      #expect(part.row(0) == Array(numbers.prefix(range.count)))
      for set in Engine.InstructionSet.allCases {
        Engine(set, threads: 1)?.use {
          for b in [1, 40] {
            check(part, numbers, vectors: b, adjoint: false, "\(set), \(range)")
            check(part, numbers, vectors: b, adjoint: true, "\(set), \(range)")
          }
        }
      }
    }
  }

  private func check(
    _ w: StoredMatrix, _ numbers: [Float], vectors b: Int, adjoint: Bool, _ label: String
  ) {
    let (inputs, outputs) = adjoint ? (w.rows, w.columns) : (w.columns, w.rows)
    var generator = SeededGenerator(seed: 3)
    let x = (0..<inputs * b).map { _ in Float(generator.normal()) }
    var y = [Float](repeating: .nan, count: outputs * b)
    var exact = [Double](repeating: .nan, count: outputs * b)
    if adjoint {
      Float.multiplyAdjoint(w, x, stride: b, into: &y, stride: b, vectors: b, accumulating: false)
      Double.multiplyAdjoint(
        w, x.map { Double($0) }, stride: b, into: &exact, stride: b, vectors: b,
        accumulating: false)
    } else {
      Float.multiply(w, x, stride: b, into: &y, stride: b, vectors: b, accumulating: false)
      Double.multiply(
        w, x.map { Double($0) }, stride: b, into: &exact, stride: b, vectors: b,
        accumulating: false)
    }
    let slope = Double(inputs + 2) * 0x1p-24 / (1 - Double(inputs + 2) * 0x1p-24)
    var wrong = 0
    for o in 0..<outputs {
      for j in 0..<b {
        var (sum, magnitude) = (0.0, 0.0)
        for i in 0..<inputs {
          let weight = numbers[adjoint ? i * w.columns + o : o * w.columns + i]
          let term = Double(weight) * Double(x[i * b + j])
          sum += term
          magnitude += abs(term)
        }
        if !(abs(Double(y[o * b + j]) - sum) <= slope * magnitude) { wrong += 1 }
        // In double precision only the order of summation differs.
        if !(abs(exact[o * b + j] - sum) <= Double(2 * inputs) * 0x1p-53 * magnitude) { wrong += 1 }
      }
    }
    #expect(wrong == 0, "\(adjoint ? "adjoint" : "forward"), b \(b), \(label)")
  }
}
