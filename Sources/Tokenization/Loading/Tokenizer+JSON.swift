import Files
import Checkpoint
import Foundation

extension Tokenizer {
  /// Reads a `tokenizer.json`, the format of the Python package `tokenizers`, and reproduces its results token for token.
  ///
  /// Supported are models of type `BPE` (byte-level or with byte fallback), `Unigram` and `WordPiece`, and the components
  /// that published files combine with them; see `Normalizer`, `PreTokenizer`, `Decoder`. The settings `truncation` and
  /// `padding` are for training batches and are not applied. Throws `FileError` if the file cannot be read or is not JSON,
  /// and `TokenizationError` otherwise.
  public init(tokenizerJSON file: String) throws {
    try self.init(JSONField(file: file, path: "", value: JSONValue.parse(file: file)))
  }

  init(_ root: JSONField) throws(TokenizationError) {
    let normalizer: Normalizer? =
      if let field = try root.optional("normalizer") {
        try field.bounded(Normalizer(field), \.growth)
      } else { nil }
    let model = try TokenModel(root.required("model"))
    var added: [AddedToken] = []
    for field in try root.optional("added_tokens")?.elements() ?? [] {
      let token = try AddedToken(field)
      if token.content.isEmpty { continue }
      if let id = model.vocabulary.id(of: token.content) {
        guard id == token.id else {
          throw field.invalid("has the id \(token.id), but \(id) in model.vocab")
        }
      } else {
        guard model.vocabulary.token(token.id) == nil else {
          throw field.invalid("has the id \(token.id) of another token in model.vocab")
        }
      }
      added.append(token)
    }
    var contents: [Int: String] = [:]
    for token in added {
      if let other = contents.updateValue(token.content, forKey: token.id),
        !other.hasSameUTF8(as: token.content)
      {
        throw .invalidField(
          file: root.file, field: "added_tokens", reason: "two tokens have the id \(token.id)")
      }
    }
    let preTokenizer: PreTokenizer? =
      if let field = try root.optional("pre_tokenizer") {
        try field.bounded(PreTokenizer(field)) { $0.growth * (normalizer?.growth ?? 1) }
      } else { nil }
    let decoder: Decoder? =
      if let field = try root.optional("decoder") {
        try field.bounded(Decoder(field), \.growth)
      } else { nil }
    var (prefix, suffix): ([Int], [Int]) = ([], [])
    if let field = try root.optional("post_processor") {
      try Self.addSpecialTokens(of: field, to: &prefix, &suffix)
    }
    self.init(
      model: model, normalizer: normalizer, preTokenizer: preTokenizer,
      addedTokens: AddedTokens(added, normalizer: normalizer), decoder: decoder, prefix: prefix,
      suffix: suffix)
  }

  /// The most tokens that may be added around a text; models add one or two.
  private static let mostSpecialTokens = 64

  /// Adds the tokens that a post-processor puts around a single text.
  private static func addSpecialTokens(
    of field: JSONField, to prefix: inout [Int], _ suffix: inout [Int]
  ) throws(TokenizationError) {
    switch try field.type() {
    case "ByteLevel": break  // adjusts offsets, which are not computed here
    case "Sequence":
      for step in try field.required("processors").elements() {
        try addSpecialTokens(of: step, to: &prefix, &suffix)
      }
    case "BertProcessing", "RobertaProcessing":
      prefix = [try pairID(field.required("cls"))] + prefix
      suffix.append(try pairID(field.required("sep")))
    case "TemplateProcessing":
      let tokens = try field.optional("special_tokens")
      var before: [Int] = []
      var after: [Int] = []
      var sequences = 0
      for piece in try field.required("single").elements() {
        if let special = try piece.optional("SpecialToken") {
          let name = try special.required("id").string()
          guard let token = try tokens?.optional(name) else {
            throw piece.invalid("\(quoted(name)) is not among special_tokens")
          }
          for id in try token.required("ids").elements() {
            guard before.count + after.count < Self.mostSpecialTokens else {
              throw field.invalid("has more than \(Self.mostSpecialTokens) special tokens")
            }
            if sequences == 0 {
              before.append(try id.tokenID())
            } else {
              after.append(try id.tokenID())
            }
          }
        } else {
          let name = try piece.required("Sequence").required("id").string()
          guard name == "A", sequences == 0 else { throw piece.unsupported("a second sequence") }
          sequences += 1
        }
      }
      guard sequences == 1 else { throw field.unsupported("a template without the text") }
      prefix = before + prefix
      suffix += after
    case let type: throw field.unsupported("of type \(quoted(type))")
    }
    guard prefix.count + suffix.count <= Self.mostSpecialTokens else {
      throw field.invalid("has more than \(Self.mostSpecialTokens) special tokens")
    }
  }

  /// The id in a pair such as `["</s>", 2]`.
  private static func pairID(_ field: JSONField) throws(TokenizationError) -> Int {
    let pair = try field.elements()
    guard pair.count == 2 else { throw field.invalid("must be a token and its id") }
    return try pair[1].tokenID()
  }
}

extension JSONField {
  /// A token id below the limit of a vocabulary.
  func tokenID() throws(TokenizationError) -> Int {
    let id = try int()
    guard (0..<Vocabulary.idLimit).contains(id) else {
      throw invalid("\(id) is not a token id from 0 to \(Vocabulary.idLimit - 1)")
    }
    return id
  }

  /// The Unicode scalars of a string.
  fileprivate func scalars() throws(TokenizationError) -> [UInt32] {
    try string().unicodeScalars.map(\.value)
  }

  /// The pattern `{"String": …}`, a literal, or `{"Regex": …}`.
  fileprivate func pattern() throws(TokenizationError) -> SplitPattern {
    let literal = try optional("String")
    let field = if let literal { literal } else { try required("Regex") }
    let text = try field.string()
    do throws(SplitPattern.SyntaxError) {
      return literal == nil ? try SplitPattern(text) : try SplitPattern(literal: text)
    } catch {
      throw field.unsupported("the pattern \(quoted(text)) (\(error.reason))")
    }
  }

  /// A SentencePiece normalization table, in Base64.
  fileprivate func characterMap() throws(TokenizationError) -> CharacterMap {
    let text = try string()
    // Foundation ignores stray bits after the last byte; encoding again reveals them.
    guard let data = Data(base64Encoded: text), data.base64EncodedString() == text else {
      throw invalid("is not valid Base64")
    }
    do throws(CharacterMap.Malformed) {
      return try CharacterMap(Array(data))
    } catch {
      throw invalid(error.reason)
    }
  }

  /// Returns `steps`, or throws if they could lengthen a text far more than those of any published tokenizer.
  fileprivate func bounded<Steps>(
    _ steps: Steps, _ growth: (Steps) -> Double
  ) throws(TokenizationError) -> Steps {
    let most = 10_000.0
    guard growth(steps) <= most else {
      throw invalid("its steps may make a text more than \(Int(most)) times as long")
    }
    return steps
  }

  /// The steps of a sequence. The depth limit of the JSON parser bounds their nesting.
  fileprivate func steps<Step>(
    _ key: String, _ make: (JSONField) throws(TokenizationError) -> Step
  ) throws(TokenizationError) -> [Step] {
    var result: [Step] = []
    for field in try required(key).elements() { result.append(try make(field)) }
    return result
  }
}

extension AddedToken {
  fileprivate init(_ field: JSONField) throws(TokenizationError) {
    content = try field.required("content").string()
    id = try field.required("id").tokenID()
    isSpecial = try field.bool("special", default: false)
    isSingleWord = try field.bool("single_word", default: false)
    stripsLeft = try field.bool("lstrip", default: false)
    stripsRight = try field.bool("rstrip", default: false)
    isNormalized = try field.bool("normalized", default: !isSpecial)
  }
}

extension Normalizer {
  fileprivate init(_ field: JSONField) throws(TokenizationError) {
    switch try field.type() {
    case "NFC": self = .nfc
    case "NFD": self = .nfd
    case "NFKC": self = .form(composes: true, compatibility: true)
    case "NFKD": self = .form(composes: false, compatibility: true)
    case "Lowercase": self = .scalars(.lowercase)
    case "StripAccents": self = .scalars(.withoutMarks)
    case "Nmt": self = .scalars(.nmt)
    case "BertNormalizer":
      let lowercases = try field.required("lowercase").bool()
      self = .bert(
        cleans: try field.required("clean_text").bool(),
        separatesIdeographs: try field.required("handle_chinese_chars").bool(),
        stripsAccents: try field.bool("strip_accents", default: lowercases),
        lowercases: lowercases)
    case "Precompiled":
      self = .characters(try field.required("precompiled_charsmap").characterMap())
    case "Prepend": self = .prepend(try field.required("prepend").scalars())
    case "Replace":
      self = .replace(
        try field.required("pattern").pattern(), by: try field.required("content").scalars())
    case "Strip":
      self = .strip(
        left: try field.required("strip_left").bool(),
        right: try field.required("strip_right").bool())
    case "Sequence": self = .sequence(try field.steps("normalizers", Normalizer.init))
    case let type: throw field.unsupported("of type \(quoted(type))")
    }
  }
}

extension PreTokenizer {
  fileprivate init(_ field: JSONField) throws(TokenizationError) {
    switch try field.type() {
    case "ByteLevel":
      let prefix: [PreTokenizer] =
        try field.bool("add_prefix_space", default: true) ? [.prefixSpace] : []
      let split: [PreTokenizer] =
        try field.bool("use_regex", default: true) ? [.split(.gpt2)] : []
      self = .sequence(prefix + split + [.byteLevel])
    case "BertPreTokenizer": self = .bert
    case "Whitespace": self = .whitespace
    case "WhitespaceSplit": self = .whitespaceSplit
    case "Digits":
      self = .digits(individually: try field.bool("individual_digits", default: false))
    case "Punctuation":
      self = .punctuation(try field.optional("behavior").map(SplitBehavior.init) ?? .isolated)
    case "Metaspace":
      self = .metaspace(
        replacement: try field.required("replacement").scalar(),
        prefix: try MetaspacePrefix(field), splits: try field.bool("split", default: true))
    case "Split":
      self = .split(
        try field.required("pattern").pattern(),
        try SplitBehavior(field.required("behavior")),
        inverted: try field.bool("invert", default: false))
    case "Sequence": self = .sequence(try field.steps("pretokenizers", PreTokenizer.init))
    case let type: throw field.unsupported("of type \(quoted(type))")
    }
  }
}

extension PreTokenizer.MetaspacePrefix {
  /// The value of `prepend_scheme`, or of `add_prefix_space` in older files.
  fileprivate init(_ field: JSONField) throws(TokenizationError) {
    let scheme = try field.optional("prepend_scheme")
    switch try scheme?.string() ?? "always" {
    case "always": self = .always
    case "first": self = .first
    case "never": self = .never
    case let other: throw (scheme ?? field).unsupported(quoted(other))
    }
    if try field.bool("add_prefix_space", default: true) == false { self = .never }
  }
}

extension SplitBehavior {
  fileprivate init(_ field: JSONField) throws(TokenizationError) {
    let name = try field.string()
    guard let behavior = SplitBehavior(rawValue: name) else {
      throw field.unsupported(quoted(name))
    }
    self = behavior
  }
}

extension Decoder {
  fileprivate init(_ field: JSONField) throws(TokenizationError) {
    switch try field.type() {
    case "ByteLevel": self = .byteLevel
    case "ByteFallback": self = .byteFallback
    case "Fuse": self = .fuse
    case "BPEDecoder": self = .wordEnds(try field.required("suffix").string())
    case "WordPiece":
      self = .wordPiece(
        prefix: try field.required("prefix").string(),
        cleansUp: try field.required("cleanup").bool())
    case "Replace":
      self = .replace(
        try field.required("pattern").pattern(), by: try field.required("content").scalars())
    case "Metaspace":
      self = .metaspace(
        replacement: try field.required("replacement").scalar(),
        hasPrefix: try PreTokenizer.MetaspacePrefix(field) != .never)
    case "Strip":
      self = .strip(
        try field.required("content").scalar(),
        start: max(0, try field.required("start").int()),
        stop: max(0, try field.required("stop").int()))
    case "Sequence": self = .sequence(try field.steps("decoders", Decoder.init))
    case let type: throw field.unsupported("of type \(quoted(type))")
    }
  }
}
