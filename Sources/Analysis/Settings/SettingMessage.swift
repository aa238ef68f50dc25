import Foundation

/// A sentence that may name settings. It reads well as it is, and who knows how a user spells them can say it in those words.
public struct SettingMessage: Sendable {
  fileprivate enum Part: Sendable {
    case text(String)
    case key(SettingKey)
  }

  private var parts: [Part]

  /// The sentence, its settings in the words of the caller.
  public func spelled(_ spelling: (SettingKey) -> String) -> String {
    parts.map { part in
      switch part {
      case .text(let text): text
      case .key(let key): spelling(key)
      }
    }.joined()
  }

  /// Reads a sentence that was recorded: what `description` writes.
  public init(recorded text: String) {
    parts = []
    var start = text.startIndex
    for found in text.matches(of: /`([a-z_]+)`/) {
      guard let key = SettingKey(rawValue: String(found.1)) else { continue }
      parts += [.text(String(text[start..<found.range.lowerBound])), .key(key)]
      start = found.range.upperBound
    }
    parts.append(.text(String(text[start...])))
  }

  /// Both, one after the other.
  public static func + (first: SettingMessage, second: SettingMessage) -> SettingMessage {
    var result = first
    result.parts += second.parts
    return result
  }
}

extension SettingMessage: Equatable {
  /// Whether both say the same of the same settings, however they are put together.
  public static func == (first: SettingMessage, second: SettingMessage) -> Bool {
    first.description == second.description
  }
}

extension SettingMessage: CustomStringConvertible {
  /// The sentence, its settings by their names in `result.json`.
  public var description: String { spelled(\.description) }
}

extension SettingMessage: ExpressibleByStringInterpolation {
  /// A sentence that names none.
  public init(stringLiteral text: String) { parts = [.text(text)] }

  /// A sentence whose interpolated `SettingKey`s are names of settings, all else text.
  public init(stringInterpolation: StringInterpolation) { parts = stringInterpolation.parts }

  /// Collects the parts.
  public struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var parts: [Part] = []

    /// Nothing yet.
    public init(literalCapacity: Int, interpolationCount: Int) {}

    /// Text.
    public mutating func appendLiteral(_ text: String) { parts.append(.text(text)) }

    /// A setting's name.
    public mutating func appendInterpolation(_ key: SettingKey) { parts.append(.key(key)) }

    /// A sentence within this one.
    public mutating func appendInterpolation(_ message: SettingMessage) {
      parts += message.parts
    }

    /// Anything else, as text.
    public mutating func appendInterpolation(_ value: some Any) { parts.append(.text("\(value)")) }
  }
}

/// An error whose message may name settings.
public protocol SettingError: Error, CustomStringConvertible {
  /// What is wrong and what to do.
  var message: SettingMessage { get }
}

extension SettingError {
  /// The message, its settings by their names in `result.json`.
  public var description: String { message.description }
}
