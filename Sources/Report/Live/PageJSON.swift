import Foundation

/// A JSON value that is safe inside a script element; numbers have as many digits as are shown.
indirect enum PageJSON: Sendable, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral,
  ExpressibleByNilLiteral
{
  case null
  /// A number in decimal notation.
  case literal(String)
  case text(String)
  case list([PageJSON])
  /// An object with its members in order.
  case object([(String, PageJSON)])

  init(nilLiteral: ()) { self = .null }
  init(stringLiteral value: String) { self = .text(value) }
  init(booleanLiteral value: Bool) { self = .literal("\(value)") }
  init(integerLiteral value: Int) { self = .literal("\(value)") }
  init(arrayLiteral elements: PageJSON...) { self = .list(elements) }
  init(dictionaryLiteral elements: (String, PageJSON)...) { self = .object(elements) }

  /// A number to seven significant digits, about the precision of a Float; null if it is missing or not finite.
  static func number(_ x: Double?) -> PageJSON {
    guard let x, x.isFinite else { return .null }
    return .literal(String(format: "%.7g", x))
  }

  /// A bound, rounded up to two significant digits.
  static func bound(_ x: Double?) -> PageJSON {
    guard let x, x.isFinite, x >= 0 else { return .null }
    guard x > 0 else { return 0 }
    let exponent = Int(floor(log10(x))) - 1
    let digits = (x / pow(10, Double(exponent))).rounded(.up)
    return digits.isFinite ? .literal("\(Int(digits))e\(exponent)") : .null
  }

  /// A number as a multiple of 10^−`digits`; null if it is missing or too large.
  static func scaled(_ x: Double?, digits: Int) -> PageJSON {
    guard let x else { return .null }
    return Int(exactly: (x * pow(10, Double(digits))).rounded()).map { .literal("\($0)") } ?? .null
  }

  static func numbers(_ values: [Double?]) -> PageJSON { .list(values.map(number)) }
  static func bounds(_ values: [Double?]) -> PageJSON { .list(values.map(bound)) }

  /// User texts, each as one short line.
  static func texts(_ values: [String], limit: Int = 60) -> PageJSON {
    .list(values.map { .text(plainText($0, limit: limit)) })
  }

  /// Integers as texts.
  static func names(_ values: [Int]) -> PageJSON { .list(values.map { .text("\($0)") }) }

  /// The JSON text. It contains no `<` or `&`, so that it cannot end the element or start a comment or an entity.
  var text: String {
    var result = ""
    write(into: &result)
    return result
  }

  private func write(into result: inout String) {
    switch self {
    case .null: result += "null"
    case .literal(let digits): result += digits
    case .text(let text): Self.write(text, into: &result)
    case .list(let values):
      result += "["
      for (i, value) in values.enumerated() {
        if i > 0 { result += "," }
        value.write(into: &result)
      }
      result += "]"
    case .object(let members):
      result += "{"
      for (i, member) in members.enumerated() {
        if i > 0 { result += "," }
        Self.write(member.0, into: &result)
        result += ":"
        member.1.write(into: &result)
      }
      result += "}"
    }
  }

  private static func write(_ text: String, into result: inout String) {
    result += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "<", ">", "&", "'", "\u{0}"..<"\u{20}", "\u{7F}"..<"\u{A0}", "\u{2028}", "\u{2029}",
        "\u{FEFF}":
        result += String(format: "\\u%04x", scalar.value)
      default: result.unicodeScalars.append(scalar)
      }
    }
    result += "\""
  }
}
