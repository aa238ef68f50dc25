import CXXHash

/// A 128-bit hash of bytes, XXH3, the same on every machine. It detects accidental change; it is not a cryptographic hash.
///
/// Yann Collet, xxHash, https://github.com/Cyan4973/xxHash. Speed is limited by memory bandwidth.
public struct ContentHash: ~Copyable {
  private let state: OpaquePointer

  /// The hash of no bytes.
  public init() {
    // It fails only when memory runs out, which ends a Swift program anyway.
    state = XXH3_createState()!
    XXH3_128bits_reset(state)
  }

  deinit { XXH3_freeState(state) }

  /// Adds bytes, followed by their number, so that the hash also depends on how a sequence is divided into calls.
  public mutating func combine(_ bytes: UnsafeRawBufferPointer) {
    combine { add in add(bytes) }
  }

  /// Adds bytes that `body` passes on in pieces, with the same hash as if they came at once.
  public mutating func combine<Failure: Error>(
    inPieces body: (_ add: (UnsafeRawBufferPointer) -> Void) throws(Failure) -> Void
  ) throws(Failure) {
    var count: UInt64 = 0
    try body { [state] piece in
      XXH3_128bits_update(state, piece.baseAddress, piece.count)
      count += UInt64(piece.count)
    }
    withUnsafeBytes(of: count.littleEndian) {
      _ = XXH3_128bits_update(state, $0.baseAddress, $0.count)
    }
  }

  /// Adds the bit patterns of numbers.
  public mutating func combine(_ numbers: [Double]) {
    numbers.withUnsafeBytes { combine($0) }
  }

  /// Adds the UTF-8 bytes of a string.
  public mutating func combine(_ text: String) {
    var text = text
    text.withUTF8 { combine(UnsafeRawBufferPointer($0)) }
  }

  /// The number of hexadecimal digits in `digits`.
  public static let length = 32

  /// The hash of what was added so far, as `length` hexadecimal digits.
  public var digits: String {
    let hash = XXH3_128bits_digest(state)
    return [hash.high64, hash.low64].map {
      let text = String($0, radix: 16)
      return String(repeating: "0", count: 16 - text.count) + text
    }.joined()
  }
}
