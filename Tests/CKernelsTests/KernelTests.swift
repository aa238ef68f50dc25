import Weights
import CKernels
import Foundation
import LinearAlgebra
import Testing

/// All tests of the kernels. Each creates the engines it needs.
@Suite enum KernelTests {
  /// Runs `body` once with each instruction set that this processor has, on one thread.
  static func withEachInstructionSet(_ body: (Engine.InstructionSet) throws -> Void) rethrows {
    for set in Engine.InstructionSet.allCases {
      try Engine(set, threads: 1)?.use { try body(set) }
    }
  }
}

enum Fixture {
  static func bytes(_ name: String) throws -> [UInt8] {
    let url = try #require(
      Bundle.module.url(forResource: name, withExtension: nil, subdirectory: "Fixtures"))
    return [UInt8](try Data(contentsOf: url))
  }

  static func floats(_ name: String) throws -> [Float] {
    try bytes(name).withUnsafeBytes { raw in
      (0..<raw.count / 4).map {
        Float(bitPattern: UInt32(littleEndian: raw.load(fromByteOffset: 4 * $0, as: UInt32.self)))
      }
    }
  }
}

/// A stored matrix of ordinary random numbers that ends at the end of readable memory, or a few bytes before it.
final class GuardedMatrix {
  private let memory: UnsafeMutableRawPointer
  private let length: Int
  var kernel: ck_matrix
  /// The weights as the kernels widen them, (rows, columns).
  private(set) var widened: [Float]

  var rows: Int { Int(kernel.rows) }
  var columns: Int { Int(kernel.columns) }

  /// `gap` bytes separate the rows; an odd number yields every alignment. `after` bytes follow the last one.
  init(
    _ type: ElementType, rows: Int, columns: Int, seed: UInt64, gap: Int = 0, after: Int = 0
  ) throws {
    var generator = SeededGenerator(seed: seed)
    let blocks = columns / type.blockLength
    let rowBytes = blocks * type.blockBytes
    let stride = rowBytes + gap
    let page = Int(getpagesize())
    let pages = (rows * stride + after + page) / page
    length = (pages + 1) * page
    memory = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    mprotect(memory + pages * page, page, PROT_NONE)
    let base = memory + pages * page - max(rows * stride - gap, 0) - after
    // The first eight blocks of the quantised fixtures have ordinary scales.
    let stored = type.blockLength > 1 ? try Fixture.bytes("\(type.name).blocks") : []
    for r in 0..<rows {
      for k in 0..<blocks {
        let place = base + r * stride + k * type.blockBytes
        let value = generator.normal()
        switch type {
        case .f32: place.storeBytes(of: Float(value), as: Float.self)
        case .f64: place.storeBytes(of: value, as: Double.self)
        case .bf16:
          place.storeBytes(of: UInt16(Float(value).bitPattern >> 16), as: UInt16.self)
        case .f16:
          // Magnitudes from 2⁻³ to 2², by their bits.
          let bits = generator.next()
          place.storeBytes(
            of: UInt16(bits & 0x83FF) | UInt16(12 + bits >> 20 % 5) << 10, as: UInt16.self)
        default:
          let block = Int(generator.next() % 8) * type.blockBytes
          stored[block..<block + type.blockBytes].withUnsafeBytes {
            place.copyMemory(from: $0.baseAddress!, byteCount: $0.count)
          }
        }
      }
    }
    kernel = ck_matrix(
      data: base, rows: Int64(rows), columns: Int64(columns), row_bytes: Int64(stride),
      type: type.rawValue, scales: nil, first_row: 0, first_column: 0)
    widened = [Float](repeating: 0, count: rows * columns)
    for r in 0..<rows {
      widened.withUnsafeMutableBufferPointer {
        ck_dequantize(
          Engine.current, type.rawValue, base + r * stride, $0.baseAddress! + r * columns,
          Int64(columns))
      }
    }
  }

  deinit { munmap(memory, length) }
}

/// The two directions of a product.
enum Direction: CaseIterable {
  case forward, adjoint
}

extension GuardedMatrix {
  func inputs(_ direction: Direction) -> Int { direction == .forward ? columns : rows }
  func outputs(_ direction: Direction) -> Int { direction == .forward ? rows : columns }

  /// The product with `b` interleaved vectors.
  func multiply(
    _ direction: Direction, _ x: [Float], stride ldx: Int, into y: inout [Float], stride ldy: Int,
    vectors b: Int, accumulating: Bool = false
  ) {
    let function = direction == .forward ? ck_multiply : ck_multiply_adjoint
    function(
      Engine.current, &kernel, x, Int64(ldx), &y, Int64(ldy), Int64(b), accumulating ? 1 : 0)
  }

  /// The product alone, (outputs, b).
  func product(_ direction: Direction, _ x: [Float], vectors b: Int) -> [Float] {
    var y = [Float](repeating: .nan, count: outputs(direction) * b)
    multiply(direction, x, stride: b, into: &y, stride: b, vectors: b)
    return y
  }

  /// The product in double precision, and Σ |w| |x|, both (outputs, b).
  func oracle(_ direction: Direction, _ x: [Float], vectors b: Int) -> (
    values: [Double], magnitudes: [Double]
  ) {
    let count = outputs(direction)
    var values = [Double](repeating: 0, count: count * b)
    var magnitudes = values
    let exact = x.map { Double($0) }
    values.withUnsafeMutableBufferPointer { values in
      magnitudes.withUnsafeMutableBufferPointer { magnitudes in
        exact.withUnsafeBufferPointer { x in
          widened.withUnsafeBufferPointer { widened in
            for r in 0..<rows {
              for c in 0..<columns {
                let w = Double(widened[r * columns + c])
                let (from, to) = direction == .forward ? (c * b, r * b) : (r * b, c * b)
                for j in 0..<b {
                  let term = w * x[from + j]
                  values[to + j] += term
                  magnitudes[to + j] += abs(term)
                }
              }
            }
          }
        }
      }
    }
    return (values, magnitudes)
  }
}

/// `count` standard normal numbers.
func normal(_ count: Int, seed: UInt64) -> [Float] {
  var generator = SeededGenerator(seed: seed)
  return (0..<count).map { _ in Float(generator.normal()) }
}

/// Lanes `lanes` of an (n, b) block, as an (n, lanes.count) block with rows `stride` apart and NaN between them.
func lanes(_ lanes: [Int], of x: [Float], vectors b: Int, stride: Int? = nil) -> [Float] {
  let stride = stride ?? lanes.count
  var result = [Float](repeating: .nan, count: x.count / b * stride)
  for i in 0..<x.count / b {
    for (j, lane) in lanes.enumerated() { result[i * stride + j] = x[i * b + lane] }
  }
  return result
}
