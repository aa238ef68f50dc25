import FuzzSupport
import Tokenization

private let scratch = ScratchFile("tokenizer.json")

/// Difficult parts of text: words, digits, spaces, a combining mark, characters beyond ASCII, a special token's name.
private let text =
  "  The end<s>: 12345 caf\u{65}\u{301}\u{301}\tna\u{ef}ve\r\n\n \u{4f60}\u{597d} \u{1F9D1}\u{200D}\u{1F680}'ll </s>"

/// Reads the vocabulary, then encodes and decodes a text.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
  scratch.hold(UnsafeRawBufferPointer(start: start, count: count))
  guard let tokenizer = try? Tokenizer(tokenizerJSON: scratch.path) else { return 0 }
  let ids = tokenizer.encode(text)
  _ = tokenizer.decode(ids)
  _ = tokenizer.decode(ids, skippingSpecialTokens: true)
  return 0
}
