/// Which documents are accepted as JSON.
public enum JSONDialect: Sendable {
  /// RFC 8259 exactly; in addition keys must not repeat within an object, and numbers must be within the range of `Double`.
  case strict
  /// What Python's `json` reads, which writes the configuration of most models: also `NaN`, `Infinity` and `-Infinity`,
  /// numbers that round to infinity, repeated keys (the last one counts), and unpaired surrogates (read as U+FFFD).
  case python
}

extension JSONValue {
  /// The one JSON value that `bytes` hold, in UTF-8. Reads them in one pass, in linear time.
  ///
  /// `source` names the file in errors, and `origin` is the offset of `bytes` in it. Throws `FileError.malformedJSON` with
  /// the byte offset for anything outside the dialect (in the strict one also a repeated key, an unpaired surrogate and a
  /// number beyond the range of `Double`), invalid UTF-8, nesting deeper than `depthLimit`, and anything but white space
  /// after the value.
  public static func parse(
    _ bytes: UnsafeRawBufferPointer, source: String, origin: Int = 0, depthLimit: Int = 64,
    dialect: JSONDialect = .strict
  ) throws(FileError) -> JSONValue {
    var parser = JSONParser(bytes: bytes, dialect: dialect)
    do throws(JSONParser.Failure) {
      return try parser.document(depthLimit: depthLimit)
    } catch {
      throw .malformedJSON(file: source, offset: origin + error.offset, reason: error.reason)
    }
  }

  /// The one JSON value that `bytes` hold; see the overload for raw bytes.
  public static func parse(
    _ bytes: [UInt8], source: String, origin: Int = 0, depthLimit: Int = 64,
    dialect: JSONDialect = .strict
  ) throws(FileError) -> JSONValue {
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(FileError) in
        try parse(
          bytes, source: source, origin: origin, depthLimit: depthLimit, dialect: dialect)
      }
    }
    return try result.get()
  }

  /// The one JSON value in a file. Throws what the overload for bytes throws, and what `MappedFile` throws.
  public static func parse(
    file: String, depthLimit: Int = 64, dialect: JSONDialect = .strict
  ) throws(FileError) -> JSONValue {
    let mapped = try MappedFile(file)
    return try parse(
      mapped.copy(0..<mapped.count), source: file, depthLimit: depthLimit, dialect: dialect)
  }
}

/// Recursive descent over the bytes; the recursion is as deep as the nesting, which is bounded.
private struct JSONParser {
  struct Failure: Error {
    let offset: Int
    let reason: String
  }

  let bytes: UnsafeRawBufferPointer
  let dialect: JSONDialect
  var position = 0
  /// The buffer in which strings with escapes are assembled.
  var scratch: [UInt8] = []

  init(bytes: UnsafeRawBufferPointer, dialect: JSONDialect) {
    self.bytes = bytes
    self.dialect = dialect
  }

  func failure(_ reason: String, at offset: Int? = nil) -> Failure {
    Failure(offset: offset ?? position, reason: reason)
  }

  /// The next byte, or 0 at the end. No token contains a 0 byte, so callers need not tell the two apart.
  private var next: UInt8 { position < bytes.count ? bytes[position] : 0 }

  private mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  mutating func document(depthLimit: Int) throws(Failure) -> JSONValue {
    let result = try value(depth: depthLimit)
    skipSpace()
    guard position == bytes.count else { throw failure("unexpected text after the value") }
    return result
  }

  /// The value at `position`, which may open `depth` further levels.
  private mutating func value(depth: Int) throws(Failure) -> JSONValue {
    skipSpace()
    switch next {
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "{"):
      guard depth > 0 else { throw failure("nested too deeply") }
      return .object(try object(depth: depth - 1))
    case UInt8(ascii: "["):
      guard depth > 0 else { throw failure("nested too deeply") }
      return .array(try array(depth: depth - 1))
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case UInt8(ascii: "N") where dialect == .python:
      return try literal("NaN", .number(.real(.nan)))
    case UInt8(ascii: "I") where dialect == .python:
      return try literal("Infinity", .number(.real(.infinity)))
    default: throw failure(position < bytes.count ? "no value begins here" : "the value is missing")
    }
  }

  private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(Failure)
    -> JSONValue
  {
    let length = word.utf8CodeUnitCount
    for i in 0..<length {
      guard position + i < bytes.count, bytes[position + i] == word.utf8Start[i] else {
        throw failure("no value begins here")
      }
    }
    position += length
    return value
  }

  private mutating func array(depth: Int) throws(Failure) -> [JSONValue] {
    position += 1
    var elements: [JSONValue] = []
    skipSpace()
    if next == UInt8(ascii: "]") {
      position += 1
      return elements
    }
    while true {
      elements.append(try value(depth: depth))
      skipSpace()
      switch next {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "]"):
        position += 1
        return elements
      default: throw failure("',' or ']' is missing")
      }
    }
  }

  private mutating func object(depth: Int) throws(Failure) -> JSONObject {
    let start = position
    position += 1
    var members: [(key: String, value: JSONValue)] = []
    skipSpace()
    if next == UInt8(ascii: "}") {
      position += 1
      return JSONObject()
    }
    while true {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { throw failure("a key is missing") }
      let key = try string()
      skipSpace()
      guard next == UInt8(ascii: ":") else { throw failure("':' is missing") }
      position += 1
      members.append((key, try value(depth: depth)))
      skipSpace()
      switch next {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "}"):
        position += 1
        guard dialect == .strict else { return JSONObject(last: members) }
        do throws(JSONObject.DuplicateKey) {
          return try JSONObject(members)
        } catch {
          let key = quoted(members[error.position].key)
          throw failure("the key \(key) occurs twice in the object that begins here", at: start)
        }
      default: throw failure("',' or '}' is missing")
      }
    }
  }

  // MARK: Strings

  /// The string whose quotation mark is at `position`.
  private mutating func string() throws(Failure) -> String {
    position += 1
    let start = position
    while position < bytes.count {
      let byte = bytes[position]
      if byte == UInt8(ascii: "\"") {
        let text = try text(bytes[start..<position], at: start)
        position += 1
        return text
      }
      if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
      guard byte >= 0x20 else { throw failure("an unescaped control character in a string") }
      position += 1
    }
    throw failure("a string has no end", at: start - 1)
  }

  /// The rest of a string in which the first escape is at `position`.
  private mutating func escapedString(from start: Int) throws(Failure) -> String {
    scratch.removeAll(keepingCapacity: true)
    scratch.append(contentsOf: bytes[start..<position])
    while position < bytes.count {
      let byte = bytes[position]
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return try text(scratch, at: start)
      case UInt8(ascii: "\\"): try escape()
      case 0..<0x20: throw failure("an unescaped control character in a string")
      default:
        scratch.append(byte)
        position += 1
      }
    }
    throw failure("a string has no end", at: start - 1)
  }

  private func text(_ bytes: some Sequence<UInt8>, at start: Int) throws(Failure) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw failure("a string is not valid UTF-8", at: start)
    }
    return text
  }

  /// Appends the character that the escape at `position` stands for.
  private mutating func escape() throws(Failure) {
    let start = position
    position += 1
    let byte = next
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scratch.append(byte)
    case UInt8(ascii: "b"): scratch.append(0x08)
    case UInt8(ascii: "f"): scratch.append(0x0C)
    case UInt8(ascii: "n"): scratch.append(0x0A)
    case UInt8(ascii: "r"): scratch.append(0x0D)
    case UInt8(ascii: "t"): scratch.append(0x09)
    case UInt8(ascii: "u"):
      var code = try hexadecimal(at: start)
      if code & 0xFC00 == 0xD800, let second = try lowSurrogate() {
        code = 0x10000 + (code & 0x3FF) << 10 + second & 0x3FF
      }
      guard let scalar = Unicode.Scalar(code) ?? (dialect == .python ? "\u{FFFD}" : nil) else {
        throw failure("an unpaired surrogate", at: start)
      }
      scratch.append(contentsOf: UTF8.encode(scalar)!)
    default: throw failure("an unknown escape", at: start)
    }
  }

  /// The low surrogate, if an escape for one comes next, which is then consumed.
  private mutating func lowSurrogate() throws(Failure) -> UInt32? {
    let start = position
    guard next == UInt8(ascii: "\\") else { return nil }
    position += 1
    if next == UInt8(ascii: "u") {
      position += 1
      let code = try hexadecimal(at: start)
      if code & 0xFC00 == 0xDC00 { return code }
    }
    position = start
    return nil
  }

  private mutating func hexadecimal(at start: Int) throws(Failure) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      let digit: UInt8
      switch next {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = next - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = next - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = next - UInt8(ascii: "A") + 10
      default: throw failure("an unknown escape", at: start)
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }

  // MARK: Numbers

  /// Skips decimal digits, at least one, and returns their value if it fits into an `Int`.
  private mutating func digits(from start: Int, negative: Bool = false) throws(Failure) -> Int? {
    var value: Int? = 0
    let first = position
    while case let digit = Int(next) - 0x30, (0...9).contains(digit) {
      if let known = value {
        let (tens, overflow) = known.multipliedReportingOverflow(by: 10)
        let (sum, overflow2) =
          negative
          ? tens.subtractingReportingOverflow(digit) : tens.addingReportingOverflow(digit)
        value = overflow || overflow2 ? nil : sum
      }
      position += 1
    }
    guard position > first else { throw failure("a number without digits", at: start) }
    return value
  }

  private mutating func number() throws(Failure) -> JSONNumber {
    let start = position
    let negative = next == UInt8(ascii: "-")
    if negative { position += 1 }
    if dialect == .python, next == UInt8(ascii: "I") {
      _ = try literal("Infinity", .null)
      return .real(-.infinity)
    }
    let leadingZero = next == UInt8(ascii: "0")
    let first = position
    let integer = try digits(from: start, negative: negative)
    guard !leadingZero || position == first + 1 else {
      throw failure("a number with a leading zero", at: start)
    }
    var isInteger = true
    if next == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      _ = try digits(from: start)
    }
    if next | 0x20 == UInt8(ascii: "e") {
      isInteger = false
      position += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { position += 1 }
      _ = try digits(from: start)
    }
    if isInteger, let integer { return .integer(integer) }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    guard let value = Double(text), value.isFinite || dialect == .python else {
      throw failure("a number beyond the range of a double", at: start)
    }
    return .real(value)
  }
}
