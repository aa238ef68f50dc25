/// A JSON document.
public enum JSONValue: Sendable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number.
  case number(JSONNumber)
  /// A string, its escapes resolved; its bytes are those of the file otherwise, never normalised.
  case string(String)
  /// An array.
  case array([JSONValue])
  /// An object.
  case object(JSONObject)
}

/// A number as its digits mean it: an integer is never rounded through a `Double` on the way.
public enum JSONNumber: Equatable, Sendable {
  /// Written without fraction or exponent, and within 64 bits.
  case integer(Int)
  /// Any other, correctly rounded. Only what Python wrote can be infinite or NaN.
  case real(Double)
}

extension JSONValue {
  /// The string, if it is one.
  public var string: String? { if case .string(let value) = self { value } else { nil } }
  /// The truth value, if it is one.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// The elements, if it is an array.
  public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
  /// The object, if it is one.
  public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
  /// Whether it is `null`.
  public var isNull: Bool { if case .null = self { true } else { false } }

  /// The integer, if it is written as one and fits; `2.0` is not one.
  public var int: Int? { if case .number(.integer(let value)) = self { value } else { nil } }

  /// The number, rounded if it is an integer beyond 2⁵³.
  public var double: Double? {
    switch self {
    case .number(.integer(let value)): Double(value)
    case .number(.real(let value)): value
    default: nil
    }
  }
}

/// The members of an object in the order of the file. No key occurs twice; keys are compared by their bytes.
public struct JSONObject: Sendable {
  /// Keys and values, as in the file.
  public let members: [(key: String, value: JSONValue)]
  /// Where each key stands; empty for the few members that a search finds as quickly.
  private let positions: [UTF8Key: Int]

  /// An object without members.
  public init() {
    members = []
    positions = [:]
  }

  /// The position in `members` of the second of two equal keys is thrown as `DuplicateKey`.
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

  /// The value of a key, in constant time.
  public subscript(key: String) -> JSONValue? {
    if positions.isEmpty { return members.first { $0.key.hasSameUTF8(as: key) }?.value }
    return positions[UTF8Key(key)].map { members[$0].value }
  }

  /// Of several equal keys the last counts, at the place of the first.
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
