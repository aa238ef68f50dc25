import Foundation
import Testing

@testable import Analysis

/// Messages name a prompt by its number, its text as given, and its place.
struct PromptLabelTests {
  @Test func whatWasGiven() {
    let text = PromptInput.text(
      String(repeating: "cat ", count: 900), origin: "line 31 of long.txt")
    #expect(
      PromptLabel(number: 31, text).description
        == "prompt 31 (\"cat cat cat cat cat cat cat cat cat cat…\", line 31 of long.txt)")
    for (input, label) in [
      (PromptInput.text("a\u{1B}[2J\nb"), "prompt 2 (\"a\\u{1B}[2J\\nb\")"),
      (.text(""), "prompt 2"),
      (.text("", origin: "item 2 of p.json"), "prompt 2 (item 2 of p.json)"),
      (.tokens([1, 2, 3]), "prompt 2 (token ids 1,2,3)"),
      (.tokens(Array(1...9)), "prompt 2 (token ids 1,2,3,4,5,6,7,8,…)"),
      (.image("a/cat.png"), "prompt 2 (image a/cat.png)"),
    ] { #expect(PromptLabel(number: 2, input).description == label) }
  }

  @Test func errorsOnAPromptNameIt() {
    struct Some: Error, CustomStringConvertible { let description = "no good; try another" }
    let label = PromptLabel(number: 3, .text("x"))
    #expect(throws: RunError.badPrompt(label, reason: "no good; try another")) {
      try RunError.naming(label) { throw Some() }
    }
    let option = RunError.badSetting(.top, value: "0", reason: "…")
    #expect(throws: option) { try RunError.naming(label) { throw option } }
  }
}
