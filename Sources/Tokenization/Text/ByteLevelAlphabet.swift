/// The 256 printable characters that stand for the 256 bytes in a byte-level vocabulary.
///
/// A byte that is itself a visible Latin-1 character stands for itself; the other 68 are numbered from U+0100 on, in
/// their order: a blank is Ġ (U+0120), a line feed Ċ (U+010A). So any UTF-8 is spelt with characters that no file
/// format or merge rule treats as white space. Radford et al., "Language models are unsupervised multitask learners",
/// 2019.
enum ByteLevelAlphabet {
  /// Whether a byte stands for itself.
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

  /// The byte of each character below U+0144, the first one beyond the alphabet; −1 for those that stand for none.
  private static let bytes: [Int16] = {
    var result = [Int16](repeating: -1, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { result[Int(scalar)] = Int16(byte) }
    return result
  }()

  /// The byte a character stands for, if any.
  static func byte(of scalar: Unicode.Scalar) -> UInt8? {
    scalar.value < 0x144 ? UInt8(exactly: bytes[Int(scalar.value)]) : nil
  }

  /// The bytes of a text, each as its character.
  static func encode(_ text: ArraySlice<UInt32>, into result: inout [UInt32]) {
    for value in text {
      guard let scalar = Unicode.Scalar(value) else { continue }
      for byte in UTF8.encode(scalar).unsafelyUnwrapped { result.append(scalars[Int(byte)]) }
    }
  }
}
