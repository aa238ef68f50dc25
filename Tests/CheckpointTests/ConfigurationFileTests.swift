import Files
import Foundation
import Testing

@testable import Checkpoint

@Suite struct Configurations {
  /// Values that only Python's JSON allows are accepted under keys that are not read; reading one as another type is an
  /// error that names the key.
  @Test(arguments: [
    #""x": Infinity"#, #""x": [NaN, -Infinity]"#, #""x": 1e400, "y": -1e999"#,
    #""x": 1, "x": "two""#,
    #""x": "\ud800""#, #""\udc00": {"x": "\ud83d\u0041"}"#, #""x": {"a": 1, "a": 2}"#,
  ])
  func unreadKeysAreAsPythonReadsThem(members: String) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("{\"n\": 3, \(members), \"t\": \"a\"}", to: "config.json")
    let config = try ConfigurationFile(path)
    #expect(try config.int("n") == 3 && config.string("t") == "a")
    if config["x"] != nil {
      let thrown = #expect(throws: FileError.self) { try config.bool("x") }
      #expect(thrown?.description.contains("\"x\"") == true)
    }
  }

  private func configuration(_ text: String) throws -> ConfigurationFile {
    let value = try JSONValue.parse(Array(text.utf8), source: "config.json")
    return ConfigurationFile(path: "config.json", object: try #require(value.object))
  }

  @Test func valuesAndFallbacks() throws {
    let config = try configuration(
      #"{"n": 3, "x": 0.5, "whole": 10000, "t": "a", "b": true, "none": null, "part": {"n": "no"}}"#
    )
    #expect(try config.int("n") == 3 && config.double("x") == 0.5 && config.double("whole") == 1e4)
    #expect(try config.string("t") == "a" && config.bool("b"))
    #expect(try config.int("absent", default: 7) == 7 && config.int("none", default: 8) == 8)
    #expect(throws: FileError.missingField(file: "config.json", field: "absent")) {
      try config.int("absent")
    }
    #expect(throws: FileError.missingField(file: "config.json", field: "none")) {
      try config.double("none")
    }
    // A fallback replaces an absent value, not an invalid one.
    #expect(throws: FileError.self) { try config.int("t", default: 1) }
    #expect(throws: FileError.self) { try config.int("x", default: 1) }
    #expect(try config.part("absent") == nil && config.part("none") == nil)
    #expect(throws: FileError.self) { try config.part("n") }
    let part = try #require(try config.part("part"))
    let thrown = #expect(throws: FileError.self) { try part.int("n") }
    #expect(thrown?.description.contains("part.n") == true)
  }
}
