import Checkpoint
import Testing

@testable import Tokenization

/// Encoding gives the same tokens, and decoding the same bytes, as the Python package `tokenizers`.
@Suite struct ReferenceTests {
  private func check(_ tokenizer: Tokenizer, _ name: String, decoding: Bool = true) throws {
    let texts = Fixtures.expected.texts
    let expected = try #require(Fixtures.expected.cases[name])
    try #require(texts.count > 90 && expected.ids.count == texts.count)
    for (i, text) in texts.enumerated() {
      #expect(tokenizer.encode(text) == expected.ids[i], "\(name): \(text.debugDescription)")
      if decoding {
        #expect(
          tokenizer.decode(expected.ids[i]).bytes == expected.decoded[i].bytes,
          "\(name): \(text.debugDescription)")
        #expect(
          tokenizer.decode(expected.ids[i], skippingSpecialTokens: true).bytes
            == expected.skipped[i].bytes, "\(name): \(text.debugDescription)")
      }
    }
    for (text, ids) in zip(texts, expected.plain) {
      #expect(tokenizer.encode(text, addingSpecialTokens: false) == ids)
    }
  }

  @Test(arguments: Fixtures.names) func tokenizerJSON(_ name: String) throws {
    try check(Fixtures.tokenizer(name), name)
  }

  @Test(arguments: Fixtures.ggufNames) func gguf(_ name: String) throws {
    try check(Tokenizer(gguf: GGUFFile(Fixtures.path("\(name).gguf"))), name)
  }

  @Test func everyFixtureIsThere() {
    #expect(Fixtures.names.count >= 20)
    #expect(Fixtures.ggufNames.count >= 10)
  }
}
