import Checkpoint
import Foundation
import Testing

@testable import Tokenization

/// GGUF metadata that do not describe a tokenizer throw an error naming the field.
@Suite struct HostileGGUFTests {
  /// A metadata value as bytes: the number of its type, then the value.
  /// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
  private struct Value {
    var bytes: [UInt8]

    static func little(_ value: some FixedWidthInteger) -> [UInt8] {
      withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
    static func text(_ text: String) -> [UInt8] { little(UInt64(text.utf8.count)) + text.utf8 }
    static func string(_ value: String) -> Value { Value(bytes: little(UInt32(8)) + text(value)) }
    static func uint(_ value: UInt32) -> Value { Value(bytes: little(UInt32(4)) + little(value)) }
    static func bool(_ value: Bool) -> Value { Value(bytes: little(UInt32(7)) + [value ? 1 : 0]) }
    static func strings(_ values: [String]) -> Value {
      Value(
        bytes: little(UInt32(9)) + little(UInt32(8)) + little(UInt64(values.count))
          + values.flatMap(text))
    }
    static func reals(_ values: [Float]) -> Value {
      Value(
        bytes: little(UInt32(9)) + little(UInt32(6)) + little(UInt64(values.count))
          + values.flatMap { little($0.bitPattern) })
    }
    static func ints(_ values: [Int32]) -> Value {
      Value(
        bytes: little(UInt32(9)) + little(UInt32(5)) + little(UInt64(values.count))
          + values.flatMap { little($0) })
    }
  }

  private static let sound: [String: Value] = [
    "model": .string("gpt2"), "pre": .string("gpt-2"), "tokens": .strings(["a", "b", "ab"]),
    "merges": .strings(["a b"]),
  ]

  private func load(_ fields: [String: Value]) throws -> Tokenizer {
    var bytes = Array("GGUF".utf8) + Value.little(UInt32(3)) + Value.little(UInt64(0))
    bytes += Value.little(UInt64(fields.count))
    for (name, value) in fields { bytes += Value.text("tokenizer.ggml.\(name)") + value.bytes }
    let path = NSTemporaryDirectory() + "krylens-\(UUID().uuidString).gguf"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return try Tokenizer(gguf: GGUFFile(path))
  }

  @Test func soundMetadata() throws {
    #expect(try load(Self.sound).encode("abba") == [2, 1, 0])
    var fields = Self.sound
    fields["bos_token_id"] = .uint(1)
    #expect(try load(fields).encode("a") == [0])
    fields["add_bos_token"] = .bool(true)
    #expect(try load(fields).encode("a") == [1, 0])
    fields["pre"] = .string("llama-bpe")
    fields["add_bos_token"] = nil
    #expect(try load(fields).encode("a") == [1, 0])
  }

  /// What llama.cpp accepts with a warning is accepted with a note that names the key.
  @Test func oddMetadata() throws {
    #expect(try load(Self.sound).notes.isEmpty)
    var fields = Self.sound
    fields["pre"] = nil
    let unnamed = try load(fields)
    #expect(unnamed.encode("abba") == [2, 1, 0])
    #expect(unnamed.notes.count == 1 && unnamed.notes[0].contains("tokenizer.ggml.pre is missing"))
    fields = Self.sound
    fields["tokens"] = .strings(["a", "", "b", "", "ab"])
    fields["token_type"] = .ints([1, 1, 1, 1, 1, 3, 3])
    #expect(try load(fields).encode("abba") == [4, 2, 0])
    // SentencePiece: ids beyond the vocabulary, and more scores than tokens.
    fields = [
      "model": .string("llama"), "tokens": .strings(["?", "<s>", "</s>", "a", "\u{2581}"]),
    ]
    fields["scores"] = .reals([0, 0, 0, -1, -2, -3])
    fields["token_type"] = .ints([2, 3, 3, 1, 1])
    #expect(try load(fields).encode("a") == [1, 4, 3])
    fields["bos_token_id"] = .uint(99)
    let odd = try load(fields)
    #expect(odd.encode("a") == [1, 4, 3])
    #expect(odd.notes.count == 1 && odd.notes[0].contains("bos_token_id is 99"))
  }

  /// A file may state that it has no vocabulary.
  @Test(arguments: ["none", "no_vocab"]) func noVocabulary(_ model: String) throws {
    let error = #expect(throws: TokenizationError.self) { try load(["model": .string(model)]) }
    guard case .noVocabulary = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test(arguments: [
    "no model", "model", "model type", "pre", "no tokens", "twice", "types", "no merges", "merge",
    "blank",
    "bos", "no bos", "flag", "scores", "no scores", "short scores", "infinite score", "map",
    "no map",
    "no unknown", "no separator",
  ])
  func damage(_ what: String) throws {
    var fields = Self.sound
    let field: String
    switch what {
    case "no model": (field, fields["model"]) = ("model", nil)
    case "model": (field, fields["model"]) = ("model", .string("rwkv"))
    case "model type": (field, fields["model"]) = ("model", .uint(1))
    case "pre": (field, fields["pre"]) = ("pre", .string("no-such-family"))
    case "no tokens": (field, fields["tokens"]) = ("tokens", nil)
    case "twice": (field, fields["tokens"]) = ("tokens", .strings(["a", "b", "ab", "a"]))
    case "types": (field, fields["token_type"]) = ("token_type", .ints([1]))
    case "no merges": (field, fields["merges"]) = ("merges", nil)
    case "merge": (field, fields["merges"]) = ("merges", .strings(["a b", "a c"]))
    case "blank": (field, fields["merges"]) = ("merges", .strings(["ab"]))
    case "bos":
      (field, fields["bos_token_id"]) = ("bos_token_id", .uint(3))
      fields["add_bos_token"] = .bool(true)
    case "no bos": (field, fields["add_bos_token"]) = ("bos_token_id", .bool(true))
    case "no scores":
      (field, fields["model"], fields["unknown_token_id"]) = ("scores", .string("t5"), .uint(0))
    case "short scores":
      (field, fields["scores"]) = ("scores", .reals([0, 1]))
      (fields["model"], fields["unknown_token_id"]) = (.string("t5"), .uint(0))
    case "infinite score":
      (field, fields["scores"]) = ("scores", .reals([0, .nan, .infinity]))
      (fields["model"], fields["unknown_token_id"]) = (.string("t5"), .uint(0))
    case "map":
      (field, fields["precompiled_charsmap"]) = (
        "precompiled_charsmap", .ints([255, 255, 255, 255, 0])
      )
      (fields["model"], fields["unknown_token_id"]) = (.string("t5"), .uint(0))
      fields["scores"] = .reals([0, 0, 0])
    case "no map":
      (field, fields["precompiled_charsmap"]) = ("precompiled_charsmap", .uint(1))
      (fields["model"], fields["unknown_token_id"]) = (.string("t5"), .uint(0))
      fields["scores"] = .reals([0, 0, 0])
    case "no unknown": (field, fields["model"]) = ("unknown_token_id", .string("bert"))
    case "no separator":
      (field, fields["model"]) = ("seperator_token_id", .string("bert"))
      (fields["unknown_token_id"], fields["cls_token_id"]) = (.uint(0), .uint(1))
    case "flag": (field, fields["add_bos_token"]) = ("add_bos_token", .uint(1))
    default:
      (field, fields["model"]) = ("scores", .string("llama"))
    }
    let error = try #require(throws: TokenizationError.self) { _ = try load(fields) }
    switch error {
    case .missingField(let file, let named), .invalidField(let file, let named, _),
      .unsupported(let file, let named, _):
      #expect(named == "tokenizer.ggml.\(field)")
      #expect(file.hasSuffix(".gguf"))
    case .noVocabulary: Issue.record(error)
    }
    #expect(error.description.contains("token ids"))
  }
}
