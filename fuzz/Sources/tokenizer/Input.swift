import FuzzSupport
import Tokenization

private let scratch = ScratchFile("tokenizer.json")

/// The difficult parts of text: words, digits, spaces, a combining mark, a byte above, a special token's name.
private let text =
  "  The end<s>: 12345 caf\u{65}\u{301}\u{301}\tna\u{ef}ve\r\n\n \u{4f60}\u{597d} \u{1F9D1}\u{200D}\u{1F680}'ll </s>"

/// The vocabulary, and a text there and back.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
  scratch.hold(UnsafeRawBufferPointer(start: start, count: count))
  guard let tokenizer = try? Tokenizer(tokenizerJSON: scratch.path) else { return 0 }
  let ids = tokenizer.encode(text)
  _ = tokenizer.decode(ids)
  _ = tokenizer.decode(ids, skippingSpecialTokens: true)
  return 0
}
