import Foundation

/// A token of a prompt: the last one, or an index from 0, negative from the end.
public enum TokenIndex: Sendable, Equatable, Codable {
  /// The last token.
  case last
  /// An index from 0; −1 is the last token.
  case index(Int)

  /// Reads `last` or an integer; nil for anything else.
  public init?(_ text: String) {
    if text == "last" {
      self = .last
    } else if let i = Int(text) {
      self = .index(i)
    } else {
      return nil
    }
  }

  /// The position in a prompt of `count` tokens, nil when there is none.
  public func position(in count: Int) -> Int? {
    switch self {
    case .last: count > 0 ? count - 1 : nil
    case .index(let i): (-count..<count).contains(i) ? (i + count) % count : nil
    }
  }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let i = try? container.decode(Int.self) { self = .index(i) } else { self = .last }
  }

  /// Writes `"last"` or the index.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .last: try container.encode("last")
    case .index(let i): try container.encode(i)
    }
  }
}

/// A selection of tokens, applied to every prompt.
public enum TokenList: Sendable, Equatable, Codable {
  /// The last token.
  case last
  /// All tokens.
  case all
  /// The tokens with these indices, from 0, negative from the end.
  case indices([Int])

  /// Reads `last`, `all`, or `0,3,-1`; nil for anything else.
  public init?(_ text: String) {
    switch text {
    case "last": self = .last
    case "all": self = .all
    default:
      let parts = text.split(separator: ",", omittingEmptySubsequences: false)
      let indices = parts.compactMap { part in
        Int(part.trimmingCharacters(in: .whitespaces))
      }
      guard indices.count == parts.count else { return nil }
      self = .indices(indices)
    }
  }

  /// The positions in a prompt of `count` tokens, each once, in order.
  public func positions(in count: Int) -> [Int] {
    switch self {
    case .last: TokenIndex.last.position(in: count).map { [$0] } ?? []
    case .all: Array(0..<count)
    case .indices(let indices):
      Set(indices.compactMap { TokenIndex.index($0).position(in: count) }).sorted()
    }
  }

  /// The first index that a prompt of `count` tokens does not have.
  public func missing(in count: Int) -> Int? {
    guard case .indices(let indices) = self else { return nil }
    return indices.first { TokenIndex.index($0).position(in: count) == nil }
  }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let indices = try? container.decode([Int].self) {
      self = .indices(indices)
      return
    }
    let word = try container.decode(String.self)
    guard let list = TokenList(word) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "neither last, all nor a list of tokens")
    }
    self = list
  }

  /// Writes `"last"`, `"all"`, or the indices.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .last: try container.encode("last")
    case .all: try container.encode("all")
    case .indices(let indices): try container.encode(indices)
    }
  }
}
