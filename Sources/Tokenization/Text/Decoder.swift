/// Turns tokens back into text.
indirect enum Decoder: Sendable {
  /// Converts characters of `ByteLevelAlphabet` to bytes, and the bytes of all tokens to text; a token with any other
  /// character contributes its own UTF-8.
  case byteLevel
  /// Converts runs of tokens `<0x00>` … `<0xFF>` to text; if a run is not valid UTF-8, each of its bytes becomes U+FFFD.
  case byteFallback
  /// Replaces every match in every token.
  case replace(SplitPattern, by: [UInt32])
  /// Converts `replacement` to a space; in the first token, if encoding adds such a prefix, removes it.
  case metaspace(replacement: UInt32, hasPrefix: Bool)
  /// Removes `prefix` from tokens that begin with it and puts a space before the others, except for the first token. If
  /// `cleansUp`, also removes the spaces around English punctuation and contractions.
  case wordPiece(prefix: String, cleansUp: Bool)
  /// Converts the suffix that ends a word to a space, and removes it in the last token.
  case wordEnds(String)
  /// Joins all tokens into one.
  case fuse
  /// Removes up to `start` and `stop` copies of a scalar at the ends of each token.
  case strip(UInt32, start: Int, stop: Int)
  /// Applies one step after another.
  case sequence([Decoder])

  /// Like `Normalizer.growth`, for a token.
  var growth: Double {
    switch self {
    case .byteLevel, .byteFallback, .metaspace, .wordEnds, .fuse, .strip: 1
    case .wordPiece: 2
    case .replace(_, let replacement): Double(max(1, replacement.count))
    case .sequence(let steps): steps.reduce(1) { $0 * $1.growth }
    }
  }

  /// The text of tokens if the file has no decoder: the tokens, separated by spaces.
  static func joinWithoutDecoder(_ tokens: [String]) -> String { tokens.joined(separator: " ") }

  /// Converts tokens to pieces of text, to be joined without separators.
  func decode(_ tokens: [String]) -> [String] {
    switch self {
    case .byteLevel:
      var bytes: [UInt8] = []
      for token in tokens {
        let own = token.unicodeScalars.map { ByteLevelAlphabet.byte(of: $0) }
        if own.contains(nil) { bytes += token.utf8 } else { bytes += own.compactMap(\.self) }
      }
      return [String(decoding: bytes, as: UTF8.self)]
    case .byteFallback: return decodeByteTokens(tokens)
    case .replace(let pattern, let replacement):
      let normalizer = Normalizer.replace(pattern, by: replacement)
      return tokens.map {
        String(scalarValues: normalizer.normalize($0.unicodeScalars.map(\.value)))
      }
    case .metaspace(let replacement, let hasPrefix):
      return tokens.enumerated().map { i, token in
        var result = String.UnicodeScalarView()
        for scalar in token.unicodeScalars {
          if scalar.value != replacement {
            result.append(scalar)
          } else if i > 0 || !hasPrefix {
            result.append(" ")
          }
        }
        return String(result)
      }
    case .wordPiece(let prefix, let cleansUp):
      return tokens.enumerated().map { i, token in
        let continues = token.utf8.starts(with: prefix.utf8)
        let text =
          i == 0
          ? token
          : continues
            ? String(token.unicodeScalars.dropFirst(prefix.unicodeScalars.count)) : " " + token
        return cleansUp ? Self.cleanUp(text) : text
      }
    case .wordEnds(let suffix):
      return tokens.enumerated().map { i, token in
        token.replacing(suffix, with: i == tokens.count - 1 ? "" : " ")
      }
    case .fuse: return [tokens.joined()]
    case .strip(let scalar, let start, let stop):
      return tokens.map { token in
        var scalars = Array(token.unicodeScalars)[...]
        for _ in 0..<start where scalars.first?.value == scalar { scalars.removeFirst() }
        for _ in 0..<stop where scalars.last?.value == scalar { scalars.removeLast() }
        return String(String.UnicodeScalarView(scalars))
      }
    case .sequence(let steps): return steps.reduce(tokens) { $1.decode($0) }
    }
  }

  /// Removes the spaces that splitting at punctuation adds to English text, by one replacement after another.
  private static func cleanUp(_ text: String) -> String {
    let repairs = [
      (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
      (" 'm", "'m"),
      (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ]
    return repairs.reduce(text) { text, repair in
      var result: [UInt8] = []
      var rest = Array(text.utf8)[...]
      while !rest.isEmpty {
        if rest.starts(with: repair.0.utf8) {
          result += repair.1.utf8
          rest = rest.dropFirst(repair.0.utf8.count)
        } else if let byte = rest.popFirst() {
          result.append(byte)
        }
      }
      return String(decoding: result, as: UTF8.self)
    }
  }

  private func decodeByteTokens(_ tokens: [String]) -> [String] {
    var result: [String] = []
    var bytes: [UInt8] = []
    func flush() {
      if let text = String(validating: bytes, as: UTF8.self) {
        if !bytes.isEmpty { result.append(text) }
      } else {
        result += Array(repeating: "\u{FFFD}", count: bytes.count)
      }
      bytes.removeAll()
    }
    for token in tokens {
      if let byte = Self.byte(spelt: token) {
        bytes.append(byte)
      } else {
        flush()
        result.append(token)
      }
    }
    flush()
    return result
  }

  /// The byte of a token such as `<0x41>`; nil for other tokens.
  static func byte(spelt token: String) -> UInt8? {
    let utf8 = Array(token.utf8)
    guard utf8.count == 6, utf8.starts(with: "<0x".utf8), utf8.last == UInt8(ascii: ">") else {
      return nil
    }
    return UInt8(String(decoding: utf8[3..<5], as: UTF8.self), radix: 16)
  }
}

extension String {
  /// The text with these scalar values; invalid values are omitted.
  init(scalarValues: some Sequence<UInt32>) {
    var view = String.UnicodeScalarView()
    for value in scalarValues { if let scalar = Unicode.Scalar(value) { view.append(scalar) } }
    self.init(view)
  }
}
