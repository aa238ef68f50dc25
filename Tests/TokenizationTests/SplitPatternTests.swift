import Testing

@testable import Tokenization

/// The meaning of split patterns, and the patterns that are refused.
@Suite struct SplitPatternTests {
  private func matches(_ pattern: String, in text: String) throws -> [String] {
    let scalars = text.unicodeScalars.map(\.value)
    var matcher = SplitPatternMatcher(try SplitPattern(pattern))
    let traits = scalars.map { ScalarTraits(of: $0) }
    return matcher.matches(in: scalars, traits: traits, piece: 0..<scalars.count).map {
      String(scalarValues: scalars[$0])
    }
  }

  @Test(arguments: [
    ("a|ab", "ab", ["a"]), ("ab|a", "aab", ["a", "ab"]), ("a{2}", "aaaaa", ["aa", "aa"]),
    ("a{1,3}", "aaaaa", ["aaa", "aa"]), ("a{2,}b", "ab aab", ["aab"]), ("a{,2}b", "aaab", ["aab"]),
    (#"\s+(?!\S)"#, "a   b  ", ["  ", "  "]), (#"\s+(?=b)"#, "a   b  ", ["   "]),
    (#"\s+$"#, "a \n b ", [" ", " "]), (#"\s*[\r\n]+"#, "  \n \n x", ["  \n \n"]),
    ("(?i:sk)", "Sk \u{17F}\u{212A} ss", ["Sk", "\u{17F}\u{212A}"]),
    ("(?i:[a-c]x)", "AX bx", ["AX", "bx"]),
    ("a++b", "aab", ["aab"]), ("a++a", "aaa", []), ("a?+a", "aa a", ["aa"]),
    ("[ab]*+c", "abc", ["abc"]),
    ("(a|b)+c", "abac bc", ["abac", "bc"]), ("(?:a*)*b", "aaab", ["aaab"]),
    (".", "a\nb", ["a", "b"]),
    (#"[^\s\p{L}]"#, "a 1!", ["1", "!"]), (#"[\P{L}]"#, "a1", ["1"]),
    (#"[a\-z]"#, "a-m", ["a", "-"]),
    ("[a-]", "-b", ["-"]), ("[]a]", "]", ["]"]),
    (#"\u00e9|\x{1F600}|\x41"#, "éA😀", ["é", "A", "😀"]),
    (#"\d\D"#, "1a11", ["1a"]),
  ])
  func meaning(_ pattern: String, _ text: String, _ expected: [String]) throws {
    #expect(try matches(pattern, in: text) == expected)
  }

  @Test(arguments: [
    "", "a*", "a|", "(?!a)", "$", "a{0,3}", "(", ")", "a)", "[a", "[b-a]", "[a[b]]", "[a&&b]", "*a",
    "a**", "a+?",
    "a{2}{3}", "a{", "^a", #"\b"#, #"\w"#, #"\p{Han}"#, #"\p{L"#, #"\q"#, #"a\"#, "(?<n>a)",
    "(?>a)", "(?=ab)c",
    "(?i:é)", "(ab)++", #"\x{110000}"#, #"\1a"#, "((((((a{99}){99}){99}){99}){99}){99})",
    String(repeating: "(", count: 100_000) + "a",
  ])
  func refused(_ pattern: String) {
    #expect(throws: SplitPattern.SyntaxError.self) { try SplitPattern(pattern) }
  }

  @Test(arguments: [
    "gpt-2", "olmo", "smollm", "command-r", "llama-bpe", "dbrx", "qwen2", "stablelm2", "tekken",
    "gpt-4o", "falcon",
    "bloom", "viking", "deepseek-coder", "deepseek-llm", "deepseek-v3", "default",
  ])
  func familiesAreKnown(_ name: String) { #expect(PreTokenizer.family(named: name) != nil) }

  @Test func anUnknownFamilyIsNone() {
    #expect(PreTokenizer.family(named: "no-such-family") == nil)
  }
}
