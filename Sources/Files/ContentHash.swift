import CXXHash

/// A 128-bit hash of bytes, XXH3, the same on every machine: it detects change, not malice.
///
/// Yann Collet, xxHash, https://github.com/Cyan4973/xxHash. Limited by memory, not by arithmetic.
public struct ContentHash: ~Copyable {
  private let state: OpaquePointer

  /// The hash of no bytes.
  public init() {
    // Out of memory is the one way to fail, which ends a Swift program anyway.
    state = XXH3_createState()!
    XXH3_128bits_reset(state)
  }

  deinit { XXH3_freeState(state) }

  /// Adds bytes, followed by their number, so that how a sequence of bytes is cut into pieces counts.
  public mutating func combine(_ bytes: UnsafeRawBufferPointer) {
    XXH3_128bits_update(state, bytes.baseAddress, bytes.count)
    withUnsafeBytes(of: UInt64(bytes.count).littleEndian) {
      _ = XXH3_128bits_update(state, $0.baseAddress, $0.count)
    }
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

  /// The number of digits.
  public static let length = 32

  /// `length` hexadecimal digits.
  public var digits: String {
    let hash = XXH3_128bits_digest(state)
    return [hash.high64, hash.low64].map {
      let text = String($0, radix: 16)
      return String(repeating: "0", count: 16 - text.count) + text
    }.joined()
  }
}
