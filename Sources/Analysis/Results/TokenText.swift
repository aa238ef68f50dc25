import Tokenization

/// Tokens in readable form: a vocabulary spells " Paris" as `ĠParis` or `▁Paris`.
package enum TokenText {
  /// The text that a vocabulary's spelling stands for.
  ///
  /// A token of a byte-level vocabulary whose bytes are whole characters becomes these characters; `▁` becomes a space. Any
  /// other token is unchanged.
  package static func read(_ token: String) -> String {
    let bytes = token.unicodeScalars.compactMap { ByteLevelAlphabet.byte(of: $0) }
    if bytes.count == token.unicodeScalars.count,
      let text = String(validating: bytes, as: UTF8.self)
    {
      return text
    }
    return token.replacing("▁", with: " ")
  }

  /// A text with visible spaces and line breaks: `␣Paris`, `↵`.
  package static func visible(_ text: String) -> String {
    text.replacing(" ", with: "␣").replacing("\r\n", with: "↵").replacing("\n", with: "↵")
  }

  /// The token at a position of a prompt in readable form, with visible spaces; nil if the record does not have its text.
  package static func at(_ position: Int, of tokens: [String?]?) -> String? {
    guard let tokens, tokens.indices.contains(position) else { return nil }
    return tokens[position].map { visible(read($0)) }
  }
}
