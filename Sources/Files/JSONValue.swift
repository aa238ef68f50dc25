/// A JSON document.
public enum JSONValue: Sendable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number.
  case number(JSONNumber)
  /// A string with its escapes resolved. Its other bytes are those of the file, never normalised.
  case string(String)
  /// An array.
  case array([JSONValue])
  /// An object.
  case object(JSONObject)
}

/// A number with its exact or correctly rounded value: an integer does not pass through `Double`.
public enum JSONNumber: Equatable, Sendable {
  /// A number written without fraction or exponent that fits into 64 bits.
  case integer(Int)
  /// Any other number, correctly rounded. Only the Python dialect allows infinity and NaN.
  case real(Double)
}

extension JSONValue {
  /// The string, if it is one.
  public var string: String? { if case .string(let value) = self { value } else { nil } }
  /// The Boolean, if it is one.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// The elements, if it is an array.
  public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
  /// The object, if it is one.
  public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
  /// Whether it is `null`.
  public var isNull: Bool { if case .null = self { true } else { false } }

  /// The integer, if it is written as one and fits into an `Int`; `2.0` is not an integer.
  public var int: Int? { if case .number(.integer(let value)) = self { value } else { nil } }

  /// The number; an integer beyond 2⁵³ is rounded.
  public var double: Double? {
    switch self {
    case .number(.integer(let value)): Double(value)
    case .number(.real(let value)): value
    default: nil
    }
  }
}

/// A JSON object: its members in the order of the file. No key occurs twice; keys are compared by their bytes.
public struct JSONObject: Sendable {
  /// Keys and values, in the order of the file.
  public let members: [(key: String, value: JSONValue)]
  /// The position of each key in `members`; empty if there are so few members that a linear search is as fast.
  private let positions: [UTF8Key: Int]

  /// An object without members.
  public init() {
    members = []
    positions = [:]
  }

  /// An object with these members. Throws `DuplicateKey`, with the position of the second of two equal keys.
  package init(_ members: [(key: String, value: JSONValue)]) throws(DuplicateKey) {
    self.members = members
    guard members.count > 8 else {
      for (i, member) in members.enumerated() {
        for earlier in members[..<i] where earlier.key.hasSameUTF8(as: member.key) {
          throw DuplicateKey(position: i)
        }
      }
      positions = [:]
      return
    }
    var positions = [UTF8Key: Int](minimumCapacity: members.count)
    for (i, member) in members.enumerated() {
      guard positions.updateValue(i, forKey: UTF8Key(member.key)) == nil else {
        throw DuplicateKey(position: i)
      }
    }
    self.positions = positions
  }

  /// The value under a key, in constant time.
  public subscript(key: String) -> JSONValue? {
    if positions.isEmpty { return members.first { $0.key.hasSameUTF8(as: key) }?.value }
    return positions[UTF8Key(key)].map { members[$0].value }
  }

  /// An object with these members. If a key repeats, the last value counts, at the position of the first.
  package init(last members: [(key: String, value: JSONValue)]) {
    var positions = [UTF8Key: Int](minimumCapacity: members.count)
    var kept: [(key: String, value: JSONValue)] = []
    for member in members {
      if let position = positions[UTF8Key(member.key)] {
        kept[position].value = member.value
      } else {
        positions[UTF8Key(member.key)] = kept.count
        kept.append(member)
      }
    }
    self.members = kept
    self.positions = positions
  }

  package struct DuplicateKey: Error { let position: Int }
}
