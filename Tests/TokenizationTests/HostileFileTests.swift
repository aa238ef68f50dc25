import Checkpoint
import Testing

@testable import Tokenization

/// A file that is damaged, or needs something that is not supported, throws an error naming file, field and remedy.
@Suite struct HostileFileTests {
  /// A tokenizer.json with these parts; by default with two letters and their merge.
  static func document(
    vocab: String = #"{"a":0,"b":1,"ab":2}"#, merges: String = #"["a b"]"#, model: String = "",
    others: String = ""
  ) -> String {
    #"{"model":{"type":"BPE","vocab":\#(vocab),"merges":\#(merges)\#(model)}\#(others)}"#
  }

  /// A tokenizer.json with a unigram model.
  private static func unigram(
    _ vocab: String = #"["<unk>",0],["a",-1]"#, unknown: String = "0", others: String = ""
  ) -> String {
    #"{"model":{"type":"Unigram","unk_id":\#(unknown),"vocab":[\#(vocab)]\#(others)}}"#
  }

  /// A tokenizer.json with a WordPiece model.
  private static func wordPiece(
    _ vocab: String = ###"{"[UNK]":0,"a":1,"##a":2}"###, unknown: String = #""[UNK]""#,
    prefix: String = "\"##\"", limit: String = "100"
  ) -> String {
    #"{"model":{"type":"WordPiece","unk_token":\#(unknown),"continuing_subword_prefix":\#(prefix),"#
      + #""max_input_chars_per_word":\#(limit),"vocab":\#(vocab)}}"#
  }

  /// A tokenizer.json with SentencePiece's normalizer, whose table is in Base64.
  private static func precompiled(_ table: String) -> String {
    document(others: #","normalizer":{"type":"Precompiled","precompiled_charsmap":\#(table)}"#)
  }

  private static let doubling = #"{"type":"Replace","pattern":{"String":"a"},"content":"aa"}"#
  private static let spelling = #"{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}"#

  /// A sequence that repeats a step `count` times.
  private static func repeated(_ step: String, _ key: String, _ count: Int) -> String {
    let steps = Array(repeating: step, count: count).joined(separator: ",")
    return #"{"type":"Sequence","\#(key)":[\#(steps)]}"#
  }

  /// A template with `pieces` special tokens of `ids` ids each before the text.
  private static func template(pieces: Int, ids: Int) -> String {
    let piece = #"{"SpecialToken":{"id":"<s>","type_id":0}},"#
    let list = Array(repeating: "0", count: ids).joined(separator: ",")
    return #"{"type":"TemplateProcessing","single":[\#(String(repeating: piece, count: pieces))"#
      + #"{"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"<s>":{"id":"<s>","ids":[\#(list)]}}}"#
  }

  private func load(_ json: String) throws -> Tokenizer { try Tokenizer(json: json) }

  @Test func theDefaultIsSound() throws {
    #expect(try load(Self.document()).encode("abba") == [2, 1, 0])
    #expect(try load(Self.document(merges: #"[["a","b"]]"#)).encode("abba") == [2, 1, 0])
    #expect(try load(Self.document(merges: ##"["#version: 0.2","a b"]"##)).encode("ab") == [2])
    #expect(try load(Self.unigram()).encode("abba") == [1, 0, 1])
    #expect(try load(Self.wordPiece()).encode("aaa") == [1, 2, 2])
    #expect(try load(Self.wordPiece(limit: "2")).encode("aaa") == [0])
    let doubled = Self.document(
      others: #","normalizer":\#(Self.repeated(Self.doubling, "normalizers", 3))"#)
    #expect(try load(doubled).encode("a").count == 8)
    // An array of one node without children.
    #expect(try load(Self.precompiled(#""BAAAAAAAAAA=""#)).encode("ab") == [2])
  }

  @Test(arguments: [
    ("{}", "model"),
    ("[]", "top level"),
    (#"{"model":{}}"#, "model.type"),
    (#"{"model":{"type":"BPE"}}"#, "model.vocab"),
    (#"{"model":{"type":"BPE","vocab":{}}}"#, "model.merges"),
    (document(vocab: "[]"), "model.vocab"),
    (document(vocab: #"{"a":0,"b":0,"ab":2}"#), "model.vocab"),
    (document(vocab: #"{"a":-1,"b":1,"ab":2}"#), "model.vocab"),
    (document(vocab: #"{"a":0,"b":1,"ab":4000000000}"#), "model.vocab"),
    (document(vocab: #"{"a":0,"b":1,"ab":9223372036854775807}"#), "model.vocab"),
    (document(vocab: #"{"a":0.5,"b":1,"ab":2}"#), "model.vocab"),
    (document(vocab: #"{"a":"0","b":1,"ab":2}"#), "model.vocab"),
    (document(merges: "{}"), "model.merges"),
    (document(merges: #"["ab"]"#), "model.merges[0]"),
    (document(merges: #"["a b","a b c"]"#), "model.merges[1]"),
    (document(merges: #"["a b","b a"]"#), "model.merges[1]"),
    (document(merges: #"["a c"]"#), "model.merges[0]"),
    (document(merges: #"[["a"]]"#), "model.merges[0]"),
    (document(merges: "[7]"), "model.merges[0]"),
    (document(model: #","unk_token":"<unk>""#), "model.unk_token"),
    (document(model: #","ignore_merges":"yes""#), "model.ignore_merges"),
    (document(others: #","added_tokens":[{"id":1,"content":"a"}]"#), "added_tokens[0]"),
    (document(others: #","added_tokens":[{"id":1,"content":"<s>"}]"#), "added_tokens[0]"),
    (document(others: #","added_tokens":[{"id":-3,"content":"<s>"}]"#), "added_tokens[0].id"),
    (
      document(others: #","added_tokens":[{"id":99999999999,"content":"<s>"}]"#),
      "added_tokens[0].id"
    ),
    (
      document(others: #","added_tokens":[{"id":3,"content":"x"},{"id":3,"content":"y"}]"#),
      "added_tokens"
    ),
    (unigram("7"), "model.vocab"),
    (unigram(#"["<unk>"]"#), "model.vocab"),
    (unigram(#"["<unk>","0"]"#), "model.vocab"),
    (unigram(#"[0,0]"#), "model.vocab"),
    (unigram(#"["<unk>",0],["a",-1],["a",-2]"#), "model.vocab"),
    (unigram(unknown: "2"), "model.unk_id"),
    (unigram(unknown: "-1"), "model.unk_id"),
    (unigram(unknown: "9223372036854775807"), "model.unk_id"),
    (unigram(unknown: "null"), "model.unk_id"),
    (unigram(unknown: #""<unk>""#), "model.unk_id"),
    (unigram(others: #","byte_fallback":1"#), "model.byte_fallback"),
    (#"{"model":{"type":"Unigram","unk_id":0,"vocab":{}}}"#, "model.vocab"),
    (wordPiece("[]"), "model.vocab"),
    (wordPiece(#"{"[UNK]":0,"a":0}"#), "model.vocab"),
    (wordPiece(#"{"[UNK]":16777216}"#), "model.vocab"),
    (wordPiece("{}"), "model.unk_token"),
    (wordPiece(unknown: "0"), "model.unk_token"),
    (wordPiece(prefix: "null"), "model.continuing_subword_prefix"),
    (wordPiece(limit: "-1"), "model.max_input_chars_per_word"),
    (wordPiece(limit: "1.5"), "model.max_input_chars_per_word"),
    (precompiled("7"), "normalizer.precompiled_charsmap"),
    (precompiled(#""""#), "normalizer.precompiled_charsmap"),
    (precompiled(#""A""#), "normalizer.precompiled_charsmap"),
    (precompiled(#""====""#), "normalizer.precompiled_charsmap"),
    (precompiled(#""AAA!""#), "normalizer.precompiled_charsmap"),
    // An array that is empty, of five bytes, or of four gigabytes; two ends without a replacement; invalid UTF-8.
    (precompiled(#""AAAAAA==""#), "normalizer.precompiled_charsmap"),
    (precompiled(#""BQAAAAAAAAAA""#), "normalizer.precompiled_charsmap"),
    (precompiled(#""/////wAAAAA=""#), "normalizer.precompiled_charsmap"),
    (precompiled(#""BAAAAAABAAA=""#), "normalizer.precompiled_charsmap"),
    (precompiled(#""BAAAAAD9/38A""#), "normalizer.precompiled_charsmap"),
    (precompiled(#""BAAAAAAAAAD/""#), "normalizer.precompiled_charsmap"),
    (document(others: #","normalizer":{"type":"BertNormalizer"}"#), "normalizer.lowercase"),
    (
      document(others: #","decoder":{"type":"WordPiece","prefix":"@","cleanup":0}"#),
      "decoder.cleanup"
    ),
    (document(others: #","normalizer":{}"#), "normalizer.type"),
    // Every step doubles the result of the one before it.
    (document(others: #","normalizer":\#(repeated(doubling, "normalizers", 14))"#), "normalizer"),
    (document(others: #","decoder":\#(repeated(doubling, "decoders", 14))"#), "decoder"),
    (
      document(others: #","pre_tokenizer":\#(repeated(spelling, "pretokenizers", 7))"#),
      "pre_tokenizer"
    ),
    (
      document(
        others:
          #","normalizer":\#(repeated(doubling, "normalizers", 13)),"pre_tokenizer":\#(spelling)"#),
      "pre_tokenizer"
    ),
    (
      document(
        others:
          #","normalizer":{"type":"Prepend","prepend":"\#(String(repeating: "x", count: 10_000))"}"#
      ), "normalizer"
    ),
    (document(others: #","post_processor":\#(template(pieces: 1, ids: 65))"#), "post_processor"),
    (document(others: #","post_processor":\#(template(pieces: 65, ids: 1))"#), "post_processor"),
    (
      document(
        others: #","post_processor":\#(repeated(template(pieces: 1, ids: 2), "processors", 33))"#),
      "post_processor.processors[32]"
    ),
    (
      document(others: #","pre_tokenizer":{"type":"Sequence","pretokenizers":[{}]}"#),
      "pre_tokenizer.pretokenizers[0].type"
    ),
    (
      document(
        others:
          #","post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}}]}"#
      ),
      "post_processor.single[0]"
    ),
  ])
  func damage(_ json: String, field: String) throws {
    let error = try #require(throws: TokenizationError.self) { _ = try load(json) }
    switch error {
    case .invalidField(let file, let named, _), .missingField(let file, let named):
      #expect(file == "t.json")
      #expect(named == field)
    case .unsupported, .noVocabulary: Issue.record(error)
    }
    #expect(error.description.contains("token ids"))
  }

  @Test(arguments: [
    (#"{"model":{"type":"WordLevel","vocab":{}}}"#, "model.type", "WordLevel"),
    (
      document(model: #","continuing_subword_prefix":"@@""#), "model.continuing_subword_prefix",
      "@@"
    ),
    (document(model: #","dropout":0.1"#), "model.dropout", "random"),
    (document(others: #","normalizer":{"type":"Rot13"}"#), "normalizer", "Rot13"),
    (
      document(others: #","pre_tokenizer":{"type":"UnicodeScripts"}"#), "pre_tokenizer",
      "UnicodeScripts"
    ),
    (
      document(
        others:
          #","pre_tokenizer":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"\\p{Han}+"}}"#
      ),
      "pre_tokenizer.pattern.Regex", #"\p{Han}+"#
    ),
    (document(others: #","decoder":{"type":"CTC"}"#), "decoder", "CTC"),
  ])
  func whatIsNotSupported(_ json: String, field: String, value: String) throws {
    let error = try #require(throws: TokenizationError.self) { _ = try load(json) }
    guard case .unsupported(let file, let named, let shown) = error else {
      Issue.record(error)
      return
    }
    #expect(file == "t.json")
    #expect(named == field)
    #expect(shown.contains(value))
    #expect(error.description.contains("token ids"))
  }

  @Test func aKeyIsItsBytes() throws {
    // These are canonically equivalent, so equal strings in Swift, but two tokens of a model.
    let tokenizer = try load(
      Self.document(
        vocab: "{\"\u{E9}\":0,\"e\":1,\"\u{301}\":2,\"e\u{301}\":3}", merges: "[\"e \u{301}\"]"))
    #expect(tokenizer.encode("\u{E9}") == [0])
    #expect(tokenizer.encode("e\u{301}") == [3])
    #expect(tokenizer.decode([3]).bytes == "e\u{301}".bytes)
  }

  @Test func idsOfNoTokenDecodeToNothing() throws {
    let tokenizer = try Fixtures.tokenizer("gpt2")
    #expect(tokenizer.decode([-1, .max, tokenizer.vocabularySize, .min]).isEmpty)
    #expect(tokenizer.token(-1) == nil)
    #expect(tokenizer.token(tokenizer.vocabularySize - 1) != nil)
    #expect(tokenizer.token(tokenizer.vocabularySize) == nil)
  }
}
