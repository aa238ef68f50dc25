/// A string that equals another when their bytes do.
///
/// Swift compares strings by canonical equivalence: a composed é equals a decomposed one. Names in files are bytes, and
/// two that differ there are two names.
public struct UTF8Key: Hashable, Sendable {
  /// The string.
  public let string: String

  /// The bytes of `string` as a key.
  public init(_ string: String) { self.string = string }

  /// Equal bytes.
  public static func == (a: UTF8Key, b: UTF8Key) -> Bool { a.string.hasSameUTF8(as: b.string) }

  /// Hashes the bytes.
  public func hash(into hasher: inout Hasher) {
    var string = string
    string.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}

extension String {
  /// Whether both strings are the same bytes, which `==` does not say.
  public func hasSameUTF8(as other: String) -> Bool {
    utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
  }
}
