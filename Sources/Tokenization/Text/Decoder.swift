/// Turns tokens back into text.
indirect enum Decoder: Sendable {
  /// Characters of `ByteLevelAlphabet` into bytes, the bytes of all tokens into text; a token with any other
  /// character is its own UTF-8.
  case byteLevel
  /// Tokens `<0x00>` … `<0xFF>` into bytes, runs of them into text; each byte of a run that is no UTF-8 into U+FFFD.
  case byteFallback
  /// Replaces every match in every token.
  case replace(SplitPattern, by: [UInt32])
  /// `replacement` into a blank, or, at the beginning and if such a prefix is put there, into nothing.
  case metaspace(replacement: UInt32, hasPrefix: Bool)
  /// Tokens that begin with `prefix` go on without it, others with a blank before, but for the first; within each, if
  /// `cleansUp`, the blanks of English that belong to no word are taken away.
  case wordPiece(prefix: String, cleansUp: Bool)
  /// What ends a word into a blank, in the last token into nothing.
  case wordEnds(String)
  /// All tokens into one.
  case fuse
  /// Removes at most so many of a scalar at the ends of each token.
  case strip(UInt32, start: Int, stop: Int)
  /// One after another.
  case sequence([Decoder])

  /// As `Normalizer.growth`, of a token.
  var growth: Double {
    switch self {
    case .byteLevel, .byteFallback, .metaspace, .wordEnds, .fuse, .strip: 1
    case .wordPiece: 2
    case .replace(_, let replacement): Double(max(1, replacement.count))
    case .sequence(let steps): steps.reduce(1) { $0 * $1.growth }
    }
  }

  /// The text of tokens that no decoder is given for: they stand for themselves, blanks between them.
  static func joinWithoutDecoder(_ tokens: [String]) -> String { tokens.joined(separator: " ") }

  /// The tokens as stretches of text, which follow each other without anything between.
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

  /// Undoes, one after another, what splitting at punctuation does to English.
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

  /// The byte of `<0x41>`.
  static func byte(spelt token: String) -> UInt8? {
    let utf8 = Array(token.utf8)
    guard utf8.count == 6, utf8.starts(with: "<0x".utf8), utf8.last == UInt8(ascii: ">") else {
      return nil
    }
    return UInt8(String(decoding: utf8[3..<5], as: UTF8.self), radix: 16)
  }
}

extension String {
  /// The text of scalar values; those that are not are left out.
  init(scalarValues: some Sequence<UInt32>) {
    var view = String.UnicodeScalarView()
    for value in scalarValues { if let scalar = Unicode.Scalar(value) { view.append(scalar) } }
    self.init(view)
  }
}
