import Foundation

/// A 64-bit hash of bytes, the same on every machine: it notices change, not malice.
///
/// Four lanes of 64-bit words, each mixed by the high and low halves of a product with an odd constant, as in the family of
/// wyhash; several gigabytes a second.
public struct ContentHash: Sendable {
  private var lanes: SIMD4<UInt64> = [
    0x9E37_79B9_7F4A_7C15, 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB, 0xD6E8_FEB8_6659_FD93,
  ]
  private var length: UInt64 = 0

  /// Of no bytes.
  public init() {}

  /// Adds bytes; how they are cut into pieces counts.
  public mutating func combine(_ bytes: UnsafeRawBufferPointer) {
    let whole = bytes.count / 32 * 32
    for offset in stride(from: 0, to: whole, by: 32) {
      mix(bytes.loadUnaligned(fromByteOffset: offset, as: SIMD4<UInt64>.self))
    }
    var rest: SIMD4<UInt64> = .zero
    withUnsafeMutableBytes(of: &rest) { $0.copyBytes(from: bytes[whole...]) }
    mix(rest)
    length &+= UInt64(bytes.count)
    mix([length, 0, 0, 0])
  }

  /// Adds numbers, bit by bit.
  public mutating func combine(_ numbers: [Double]) {
    numbers.withUnsafeBytes { combine($0) }
  }

  /// Adds a text.
  public mutating func combine(_ text: String) {
    var text = text
    text.withUTF8 { combine(UnsafeRawBufferPointer($0)) }
  }

  /// 16 hexadecimal digits.
  public var digits: String {
    var value: UInt64 = 0
    for i in 0..<4 { value = Self.mixed(value ^ lanes[i]) }
    let text = String(value, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }

  private mutating func mix(_ words: SIMD4<UInt64>) {
    for i in 0..<4 { lanes[i] = Self.mixed(lanes[i] ^ words[i]) }
  }

  private static func mixed(_ x: UInt64) -> UInt64 {
    // Never zero: a product with zero would forget everything before it.
    let (high, low) = (x | 1).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
    return high ^ low ^ x.byteSwapped
  }
}
