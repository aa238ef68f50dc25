import Tokenization

/// Tokens as people read them: a vocabulary spells " Paris" as `ĠParis` or `▁Paris`.
package enum TokenText {
  /// The text that a vocabulary's spelling stands for.
  ///
  /// A token in the alphabet of byte-level vocabularies whose bytes are whole characters becomes these; `▁` becomes a space.
  /// Any other token is what it says.
  package static func read(_ token: String) -> String {
    let bytes = token.unicodeScalars.compactMap { ByteLevelAlphabet.byte(of: $0) }
    if bytes.count == token.unicodeScalars.count,
      let text = String(validating: bytes, as: UTF8.self)
    {
      return text
    }
    return token.replacing("▁", with: " ")
  }

  /// A text whose spaces and line breaks are to be seen: `␣Paris`, `↵`.
  package static func visible(_ text: String) -> String {
    text.replacing(" ", with: "␣").replacing("\r\n", with: "↵").replacing("\n", with: "↵")
  }

  /// The token at a position of a prompt, readable and visible; nil where the record has no text of it.
  package static func at(_ position: Int, of tokens: [String?]?) -> String? {
    guard let tokens, tokens.indices.contains(position) else { return nil }
    return tokens[position].map { visible(read($0)) }
  }
}
