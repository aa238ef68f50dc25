/// A string that is compared and hashed by its UTF-8 bytes.
///
/// Swift compares strings by canonical equivalence, so that a composed é equals a decomposed one. Names in files are bytes:
/// two names whose bytes differ are different names.
public struct UTF8Key: Hashable, Sendable {
  /// The string.
  public let string: String

  /// A key made of the bytes of `string`.
  public init(_ string: String) { self.string = string }

  /// Whether the bytes are equal.
  public static func == (a: UTF8Key, b: UTF8Key) -> Bool { a.string.hasSameUTF8(as: b.string) }

  /// Hashes the bytes.
  public func hash(into hasher: inout Hasher) {
    var string = string
    string.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}

extension String {
  /// Whether both strings have the same UTF-8 bytes; `==` compares by canonical equivalence instead.
  public func hasSameUTF8(as other: String) -> Bool {
    utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
  }
}
