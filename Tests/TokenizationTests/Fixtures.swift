import Files
import Checkpoint
import Foundation
import Testing

@testable import Tokenization

/// The tokenizers made by `make_fixtures.py`, and the reference's results with them.
enum Fixtures {
  static func path(_ name: String) throws -> String {
    let url = Bundle.module.url(forResource: "Fixtures", withExtension: nil)
    return try #require(url).appendingPathComponent(name).path
  }

  /// The reference's results for all texts with one tokenizer.
  struct Expectation: Sendable {
    var ids: [[Int]] = []
    /// The ids without special tokens, for the first texts only.
    var plain: [[Int]] = []
    var decoded: [String] = []
    var skipped: [String] = []
  }

  static let expected: (texts: [String], cases: [String: Expectation]) = {
    do {
      let root = try JSONValue.parse(file: path("expected.json")).object
      let texts = root?["texts"]?.array?.compactMap(\.string) ?? []
      var cases: [String: Expectation] = [:]
      for (name, value) in root?["cases"]?.object?.members ?? [] {
        func ids(_ key: String) -> [[Int]] {
          value.object?[key]?.array?.map { $0.array?.compactMap(\.int) ?? [] } ?? []
        }
        /// The strings under a key; `null` stands for the text itself.
        func strings(_ key: String) -> [String] {
          zip(value.object?[key]?.array ?? [], texts).map { $0.string ?? $1 }
        }
        cases[name] = Expectation(
          ids: ids("ids"), plain: ids("plain"), decoded: strings("decoded"),
          skipped: strings("skipped"))
      }
      return (texts, cases)
    } catch {
      Issue.record(error)
      return ([], [:])
    }
  }()

  /// The families with a `tokenizer.json`, and those that also have a GGUF file.
  static let names = expected.cases.keys.sorted()
  static let ggufNames = names.filter {
    FileManager.default.fileExists(atPath: (try? path("\($0).gguf")) ?? "")
  }

  /// The families that have a token for every byte and do not normalize text.
  static let lossless = [
    "gpt2", "smollm2", "llama3", "tekken", "gpt-4o", "possessive", "deepseek-v3", "deepseek-llm",
    "deepseek-coder", "bloom", "falcon",
  ]

  static func tokenizer(_ name: String) throws -> Tokenizer {
    try Tokenizer(tokenizerJSON: path("\(name).json"))
  }
}

/// The reference's results for every scalar in one step.
struct ScalarExpectation: Sendable {
  /// A tokenizer.json with only this step.
  let tokenizer: String
  /// A checksum for every 2¹⁴ scalars.
  let sums: [UInt32]

  /// The Unicode version of the reference's scalars, and the results for each step.
  static let all: (unicode: Int, steps: [ScalarExpectation]) = {
    let root = try? JSONValue.parse(file: Fixtures.path("expected.json")).object
    let steps = root?["steps"]?.array?.map { step in
      ScalarExpectation(
        tokenizer: step.object?["tokenizer"]?.string ?? "",
        sums: step.object?["sums"]?.array?.compactMap { $0.int.flatMap(UInt32.init(exactly:)) }
          ?? [])
    }
    return (root?["unicode"]?.int ?? 0, steps ?? [])
  }()
}

extension Tokenizer {
  /// The tokenizer described by a JSON string.
  init(json: String) throws {
    let value = try JSONValue.parse(Array(json.utf8), source: "t.json")
    try self.init(JSONField(file: "t.json", path: "", value: value))
  }
}

extension String {
  /// The UTF-8 bytes of the string. Tests compare these rather than strings.
  var bytes: [UInt8] { Array(utf8) }
}
