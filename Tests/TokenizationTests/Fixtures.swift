import Files
import Checkpoint
import Foundation
import Testing

@testable import Tokenization

/// The tokenizers of `make_fixtures.py`, and what the reference says of them.
enum Fixtures {
  static func path(_ name: String) throws -> String {
    let url = Bundle.module.url(forResource: "Fixtures", withExtension: nil)
    return try #require(url).appendingPathComponent(name).path
  }

  /// What the reference makes of every text under one tokenizer.
  struct Expectation: Sendable {
    var ids: [[Int]] = []
    /// Without special tokens; of the first texts only.
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
        /// `null` stands for the text itself.
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

  /// Families that are there as `tokenizer.json`, and those that are there as GGUF too.
  static let names = expected.cases.keys.sorted()
  static let ggufNames = names.filter {
    FileManager.default.fileExists(atPath: (try? path("\($0).gguf")) ?? "")
  }

  /// Families whose tokens spell every byte and whose text is not changed on the way in.
  static let lossless = [
    "gpt2", "smollm2", "llama3", "tekken", "gpt-4o", "possessive", "deepseek-v3", "deepseek-llm",
    "deepseek-coder", "bloom", "falcon",
  ]

  static func tokenizer(_ name: String) throws -> Tokenizer {
    try Tokenizer(tokenizerJSON: path("\(name).json"))
  }
}

/// What the reference makes of every scalar in one step.
struct ScalarExpectation: Sendable {
  /// A tokenizer.json with nothing but the step.
  let tokenizer: String
  /// A checksum for every 2¹⁴ scalars.
  let sums: [UInt32]

  /// The version of Unicode that assigned the scalars, and the steps.
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
  /// The tokenizer of a text in JSON.
  init(json: String) throws {
    let value = try JSONValue.parse(Array(json.utf8), source: "t.json")
    try self.init(JSONField(file: "t.json", path: "", value: value))
  }
}

extension String {
  /// The text as its bytes, which are what is compared.
  var bytes: [UInt8] { Array(utf8) }
}
