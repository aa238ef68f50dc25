import Foundation

/// A sentence that may name settings, by their names in `result.json` or in an interface's own spelling.
public struct SettingMessage: Sendable {
  fileprivate enum Part: Sendable {
    case text(String)
    case key(SettingKey)
  }

  private var parts: [Part]

  /// The sentence with its settings spelled by the caller.
  public func spelled(_ spelling: (SettingKey) -> String) -> String {
    parts.map { part in
      switch part {
      case .text(let text): text
      case .key(let key): spelling(key)
      }
    }.joined()
  }

  /// Reads a recorded sentence, as `description` writes it.
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

  /// The two sentences joined.
  public static func + (first: SettingMessage, second: SettingMessage) -> SettingMessage {
    var result = first
    result.parts += second.parts
    return result
  }
}

extension SettingMessage: Equatable {
  /// Whether both say the same about the same settings, however they were composed.
  public static func == (first: SettingMessage, second: SettingMessage) -> Bool {
    first.description == second.description
  }
}

extension SettingMessage: CustomStringConvertible {
  /// The sentence with its settings named as in `result.json`.
  public var description: String { spelled(\.description) }
}

extension SettingMessage: ExpressibleByStringInterpolation {
  /// A sentence without settings.
  public init(stringLiteral text: String) { parts = [.text(text)] }

  /// A sentence in which interpolated `SettingKey`s name settings; everything else is text.
  public init(stringInterpolation: StringInterpolation) { parts = stringInterpolation.parts }

  /// Collects the parts.
  public struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var parts: [Part] = []

    /// An empty sentence.
    public init(literalCapacity: Int, interpolationCount: Int) {}

    /// Appends text.
    public mutating func appendLiteral(_ text: String) { parts.append(.text(text)) }

    /// Appends the name of a setting.
    public mutating func appendInterpolation(_ key: SettingKey) { parts.append(.key(key)) }

    /// Appends another sentence.
    public mutating func appendInterpolation(_ message: SettingMessage) {
      parts += message.parts
    }

    /// Appends any other value as text.
    public mutating func appendInterpolation(_ value: some Any) { parts.append(.text("\(value)")) }
  }
}

/// An error whose message may name settings.
public protocol SettingError: Error, CustomStringConvertible {
  /// What is wrong and what to do.
  var message: SettingMessage { get }
}

extension SettingError {
  /// The message with its settings named as in `result.json`.
  public var description: String { message.description }
}
