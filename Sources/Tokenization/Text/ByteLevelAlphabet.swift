/// The 256 printable characters that represent the 256 bytes in a byte-level vocabulary.
///
/// A byte that is a visible Latin-1 character represents itself. The other 68 are numbered from U+0100 in their order: a
/// space is Ġ (U+0120), a line feed Ċ (U+010A). Any UTF-8 is thus spelt with characters that no file format or merge rule
/// treats as white space. Radford et al., "Language models are unsupervised multitask learners", 2019.
package enum ByteLevelAlphabet {
  /// Whether a byte represents itself.
  private static func isVisible(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: true
    default: false
    }
  }

  /// The character of each byte.
  static let scalars: [UInt32] = {
    var next: UInt32 = 0x100
    return (0...UInt8.max).map { byte in
      if isVisible(byte) { return UInt32(byte) }
      defer { next += 1 }
      return next
    }
  }()

  /// The byte of each character below U+0144, the first one beyond the alphabet; −1 for characters that represent none.
  private static let bytes: [Int16] = {
    var result = [Int16](repeating: -1, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { result[Int(scalar)] = Int16(byte) }
    return result
  }()

  /// The byte that a character represents, if any.
  package static func byte(of scalar: Unicode.Scalar) -> UInt8? {
    scalar.value < 0x144 ? UInt8(exactly: bytes[Int(scalar.value)]) : nil
  }

  /// Appends the characters that represent the UTF-8 bytes of a text.
  static func encode(_ text: ArraySlice<UInt32>, into result: inout [UInt32]) {
    for value in text {
      guard let scalar = Unicode.Scalar(value) else { continue }
      for byte in UTF8.encode(scalar).unsafelyUnwrapped { result.append(scalars[Int(byte)]) }
    }
  }
}
