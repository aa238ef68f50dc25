import Files
import Testing

@testable import Checkpoint

/// Parses bytes, with the file name that the tests look for in messages.
private func parse(_ bytes: [UInt8], depthLimit: Int = 64) throws -> JSONValue {
  try bytes.withUnsafeBytes {
    try JSONValue.parse($0, source: "some.json", depthLimit: depthLimit)
  }
}

private func parse(_ text: String, depthLimit: Int = 64) throws -> JSONValue {
  try parse(Array(text.utf8), depthLimit: depthLimit)
}

/// A document that must be refused, and the offset that the error must state.
struct HostileJSON: Sendable, CustomTestStringConvertible {
  let what: String
  let bytes: [UInt8]
  let offset: Int
  init(_ what: String, _ text: String, _ offset: Int) {
    self.init(what, Array(text.utf8), offset)
  }
  init(_ what: String, _ bytes: [UInt8], _ offset: Int) {
    (self.what, self.bytes, self.offset) = (what, bytes, offset)
  }
  var testDescription: String { what }

  static let cases = [
    HostileJSON("nothing", "", 0),
    HostileJSON("only space", " \n\t", 3),
    HostileJSON("byte order mark", [0xEF, 0xBB, 0xBF, 0x7B, 0x7D], 0),
    HostileJSON("trailing value", "{} {}", 3),
    HostileJSON("trailing null byte", "1\0", 1),
    HostileJSON("trailing comma in array", "[1,]", 3),
    HostileJSON("trailing comma in object", #"{"a":1,}"#, 7),
    HostileJSON("missing comma", "[1 2]", 3),
    HostileJSON("missing colon", #"{"a" 1}"#, 5),
    HostileJSON("key without quotes", "{a:1}", 1),
    HostileJSON("single quotes", "['a']", 1),
    HostileJSON("comment", "[1 /* no */]", 3),
    HostileJSON("open array", "[1, 2", 5),
    HostileJSON("open object", #"{"a": 1"#, 7),
    HostileJSON("open string", #"["abc"#, 1),
    HostileJSON("open string after an escape", #"["ab\n"#, 1),
    HostileJSON("string that ends in a backslash", #"["ab\"#, 4),
    HostileJSON("NaN", "[NaN]", 1),
    HostileJSON("Infinity", "[Infinity]", 1),
    HostileJSON("-Infinity", "[-Infinity]", 1),
    HostileJSON("leading zero", "[01]", 1),
    HostileJSON("leading plus", "[+1]", 1),
    HostileJSON("no digits", "[-]", 1),
    HostileJSON("no digits before the point", "[.5]", 1),
    HostileJSON("no digits after the point", "[1.]", 1),
    HostileJSON("no digits in the exponent", "[1e+]", 1),
    HostileJSON("hexadecimal", "[0x10]", 2),
    HostileJSON("beyond double", "[1e999]", 1),
    HostileJSON("misspelt literal", "[tru]", 1),
    HostileJSON("capital literal", "[True]", 1),
    HostileJSON("duplicate key", #"[{"a":1,"b":2,"a":3}]"#, 1),
    HostileJSON("duplicate key spelt with an escape", #"{"a":1,"\u0061":3}"#, 0),
    HostileJSON(
      "duplicate key among many",
      "{" + (0..<100).map { "\"k\($0)\":0," }.joined() + "\"k7\":1}", 0),
    HostileJSON("line feed in a string", "[\"a\nb\"]", 3),
    HostileJSON("null byte in a string", "[\"a\0b\"]", 3),
    HostileJSON("control after an escape", "[\"\\t\u{1}\"]", 4),
    HostileJSON("unknown escape", #"["\x41"]"#, 2),
    HostileJSON("short unicode escape", #"["\u12"]"#, 2),
    HostileJSON("lone high surrogate", #"["\ud83d"]"#, 2),
    HostileJSON("lone low surrogate", #"["a\ude00"]"#, 3),
    HostileJSON("two high surrogates", #"["\ud83d\ud83d"]"#, 2),
    HostileJSON("high surrogate and a letter", #"["\ud83d\u0041"]"#, 2),
    HostileJSON("stray continuation byte", [0x22, 0x80, 0x22], 1),
    HostileJSON("cut UTF-8", [0x22, 0xC3, 0x22], 1),
    HostileJSON("overlong UTF-8", [0x22, 0xC0, 0xAF, 0x22], 1),
    HostileJSON("surrogate in UTF-8", [0x22, 0xED, 0xA0, 0x80, 0x22], 1),
    HostileJSON("beyond Unicode", [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], 1),
    HostileJSON("invalid UTF-8 after an escape", [0x22, 0x5C, 0x6E, 0xFF, 0x22], 1),
    HostileJSON("nested too deeply", String(repeating: "[", count: 1_000_000), 64),
    HostileJSON(
      "objects nested too deeply", String(repeating: #"{"a":"#, count: 100_000), 5 * 64),
  ]
}

@Test(arguments: HostileJSON.cases)
func refusedJSONNamesFileAndOffset(_ hostile: HostileJSON) throws {
  let error = try #require(throws: FileError.self) { try parse(hostile.bytes) }
  guard case .malformedJSON(let file, let offset, let reason) = error else {
    Issue.record("another error: \(error)")
    return
  }
  #expect(file == "some.json")
  #expect(offset == hostile.offset, "\(reason)")
  #expect(error.description.contains("some.json"))
  #expect(error.description.contains("byte \(hostile.offset)"))
}

/// The Python dialect reads what Python's json reads beyond RFC 8259.
@Test func pythonReadsMore() throws {
  let text = #"""
    {"nan": NaN, "inf": Infinity, "minus": -Infinity, "big": 1e400, "deep": [-1e400, {"k": 1, "k": 2}],
     "high": "a\ud83d", "low": "\ude00", "letter": "\ud83d\u0041", "pair": "\ud83d\ude00",
     "twice": 1, "b": 2, "twice": "last"}
    """#
  let value = try JSONValue.parse(Array(text.utf8), source: "x", dialect: .python)
  let object = try #require(value.object)
  #expect(object["nan"]?.double?.isNaN == true && object["inf"]?.double == .infinity)
  #expect(object["minus"]?.double == -.infinity && object["big"]?.double == .infinity)
  #expect(object["deep"]?.array?[0].double == -.infinity)
  #expect(object["deep"]?.array?[1].object?["k"]?.int == 2)
  #expect(object["high"]?.string == "a\u{FFFD}" && object["low"]?.string == "\u{FFFD}")
  #expect(object["letter"]?.string == "\u{FFFD}A" && object["pair"]?.string == "\u{1F600}")
  #expect(object["twice"]?.string == "last")
  #expect(object.members.filter { $0.key == "twice" }.count == 1)
}

/// Both dialects refuse the rest, at the same offset.
@Test(
  arguments: HostileJSON.cases.filter {
    !["NaN", "Infinity", "-Infinity", "beyond double"].contains($0.what)
      && !$0.what.contains("duplicate") && !$0.what.contains("surrogate")
  })
func pythonRefusesTheRest(_ hostile: HostileJSON) throws {
  let error = try #require(throws: FileError.self) {
    try JSONValue.parse(hostile.bytes, source: "some.json", dialect: .python)
  }
  guard case .malformedJSON("some.json", hostile.offset, _) = error else {
    Issue.record("\(error)")
    return
  }
}

@Test(arguments: [
  "[Nan]", "[Infinit]", "[-Infinite]", "[-N]", "[+Infinity]", "[NaN1]", #"["\ud83d\u12"]"#,
])
func pythonRefusesMisspellings(_ text: String) throws {
  #expect(throws: FileError.self) {
    try JSONValue.parse(Array(text.utf8), source: "some.json", dialect: .python)
  }
}

@Test func valuesMeanWhatTheySay() throws {
  let text = #"""
     { "null": null, "yes": true, "no": false, "int": -12, "real": 1.5e-3, "zero": -0, "float": 2.0,
       "largest": 9223372036854775807, "smallest": -9223372036854775808, "beyond": 9223372036854775808,
       "text": "a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é", "array": [1, [2, []], {}], "nested": {"a": {"b": 7}} }
    """#
  let object = try #require(try parse(text).object)
  #expect(object["null"]?.isNull == true)
  #expect(object["yes"]?.bool == true && object["no"]?.bool == false)
  #expect(object["int"]?.int == -12 && object["int"]?.double == -12)
  #expect(object["real"]?.double == 1.5e-3 && object["real"]?.int == nil)
  #expect(object["zero"]?.int == 0)
  #expect(object["float"]?.double == 2 && object["float"]?.int == nil)
  #expect(object["largest"]?.int == .max && object["smallest"]?.int == .min)
  #expect(object["beyond"]?.int == nil && object["beyond"]?.double == 0x1p63)
  let expected = "a\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1F600}\u{e9}"
  #expect(object["text"]?.string?.hasSameUTF8(as: expected) == true)
  #expect(object["array"]?.array?.count == 3)
  #expect(object["array"]?.array?[1].array?[1].array?.isEmpty == true)
  #expect(object["nested"]?.object?["a"]?.object?["b"]?.int == 7)
  #expect(object["absent"] == nil && object["int"]?.string == nil)
  #expect(object.members.map(\.key).prefix(3) == ["null", "yes", "no"])
}

/// A composed and a decomposed é are equal strings but different keys, in small objects and in hashed ones.
@Test(arguments: [0, 50]) func keysAreBytes(others: Int) throws {
  let filler = (0..<others).map { ",\"k\($0)\":0" }.joined()
  let object = try #require(try parse("{\"\u{e9}\":1,\"e\u{301}\":2\(filler)}").object)
  #expect(object["\u{e9}"]?.int == 1)
  #expect(object["e\u{301}"]?.int == 2)
}

@Test func depthIsCountedInLevels() throws {
  _ = try parse("[[[1]]]", depthLimit: 3)
  #expect(throws: FileError.self) { try parse("[[[1]]]", depthLimit: 2) }
  _ = try parse("1", depthLimit: 0)
}

@Test func realNumbersAreRoundedCorrectly() throws {
  for text in ["0.1", "1e-400", "2.2250738585072011e-308", "123456789.123456789e-5", "1E+5"] {
    #expect(try parse(text).double == Double(text))
  }
}
