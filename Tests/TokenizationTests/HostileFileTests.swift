import Checkpoint
import Testing

@testable import Tokenization

/// A file that is damaged, or asks for what is not there, throws an error naming file, field and remedy.
@Suite struct HostileFileTests {
  /// A tokenizer with these parts; by default one of two letters and their merge.
  static func document(
    vocab: String = #"{"a":0,"b":1,"ab":2}"#, merges: String = #"["a b"]"#, model: String = "",
    others: String = ""
  ) -> String {
    #"{"model":{"type":"BPE","vocab":\#(vocab),"merges":\#(merges)\#(model)}\#(others)}"#
  }

  private func load(_ json: String) throws -> Tokenizer {
    var json = json
    let value = try json.withUTF8 {
      try JSONValue.parse(UnsafeRawBufferPointer($0), source: "t.json")
    }
    return try Tokenizer(JSONField(file: "t.json", path: "", value: value))
  }

  @Test func theDefaultIsSound() throws {
    #expect(try load(Self.document()).encode("abba") == [2, 1, 0])
    #expect(try load(Self.document(merges: #"[["a","b"]]"#)).encode("abba") == [2, 1, 0])
    #expect(try load(Self.document(merges: ##"["#version: 0.2","a b"]"##)).encode("ab") == [2])
  }

  @Test(arguments: [
    ("{}", "model"),
    ("[]", ""),
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
    (document(others: #","normalizer":{}"#), "normalizer.type"),
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
    case .unsupported: Issue.record(error)
    }
    #expect(error.description.contains("--token-ids"))
  }

  @Test(arguments: [
    (#"{"model":{"type":"Unigram","vocab":[]}}"#, "model.type", "Unigram"),
    (#"{"model":{"type":"WordPiece","vocab":{}}}"#, "model.type", "WordPiece"),
    (document(model: #","end_of_word_suffix":"</w>""#), "model.end_of_word_suffix", "</w>"),
    (document(model: #","dropout":0.1"#), "model.dropout", "random"),
    (document(others: #","normalizer":{"type":"NFKC"}"#), "normalizer", "NFKC"),
    (document(others: #","pre_tokenizer":{"type":"BertPreTokenizer"}"#), "pre_tokenizer", "Bert"),
    (
      document(
        others:
          #","pre_tokenizer":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"\\p{Han}+"}}"#
      ),
      "pre_tokenizer.pattern.Regex", #"\p{Han}+"#
    ),
    (document(others: #","decoder":{"type":"WordPiece"}"#), "decoder", "WordPiece"),
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
    #expect(error.description.contains("--token-ids"))
  }

  @Test func aKeyIsItsBytes() throws {
    // Canonically equivalent, so one String to Swift, and two tokens to a model.
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
