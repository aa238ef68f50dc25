import Weights
import LinearAlgebra

extension ElementType {
  /// Appends the numbers in this type, rounded to nearest even. Precondition: the type is F32, F16 or BF16.
  func encode(_ numbers: Span<Float>, to bytes: inout [UInt8]) {
    switch self {
    case .f32: Self.append(numbers, to: &bytes) { $0.bitPattern }
    case .f16: Self.append(numbers, to: &bytes) { Float16($0).bitPattern }
    case .bf16: Self.append(numbers, to: &bytes, Self.bfloat16)
    default: preconditionFailure("numbers cannot be encoded as \(name)")
    }
  }

  private static func append<Bits: FixedWidthInteger & BitwiseCopyable>(
    _ numbers: Span<Float>, to bytes: inout [UInt8], _ bits: (Float) -> Bits
  ) {
    let size = MemoryLayout<Bits>.size
    let start = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: numbers.count * size))
    bytes.withUnsafeMutableBytes { bytes in
      for i in numbers.indices {
        bytes.storeBytes(
          of: bits(numbers[i]).littleEndian, toByteOffset: start + i * size, as: Bits.self)
      }
    }
  }

  /// The upper 16 bits of the number, rounded to nearest even; a NaN stays a NaN.
  private static func bfloat16(_ number: Float) -> UInt16 {
    let bits = number.bitPattern
    guard !number.isNaN else { return UInt16(bits >> 16) | 0x40 }
    return UInt16((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)
  }
}
