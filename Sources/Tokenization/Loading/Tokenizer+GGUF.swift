import Files
import Checkpoint

extension Tokenizer {
  /// Makes the tokenizer that a GGUF file describes in its metadata under `tokenizer.ggml.`.
  ///
  /// Supported are the models `gpt2` (byte-level with merges; `pre` names the family, which determines the splitting
  /// pattern), `llama` and `t5` (SentencePiece with scores: merges by score, and unigrams) and `bert` (word pieces).
  /// `add_bos_token` and `add_eos_token`, or else the family's convention, determine the tokens that begin and end a text.
  /// Control and user-defined tokens are found in the text first. What llama.cpp accepts with a warning is accepted with a
  /// note. Throws `TokenizationError` naming the field, in particular `noVocabulary` for a file that states it has none, and
  /// `FileError` for arrays of the wrong type.
  public init(gguf file: GGUFFile) throws {
    let metadata = GGUFTokenizerMetadata(file: file)
    switch try metadata.string("model") {
    case "gpt2": try self.init(byteLevel: metadata)
    case "llama": try self.init(sentencePiece: metadata)
    case "t5": try self.init(unigram: metadata)
    case "bert": try self.init(wordPiece: metadata)
    case "none", "no_vocab": throw TokenizationError.noVocabulary(folder: file.path)
    case let model: throw metadata.unsupported("model", quoted(model))
    }
    notes = metadata.notes.texts
  }

  private init(byteLevel metadata: GGUFTokenizerMetadata) throws {
    let given = try metadata.optionalString("pre")
    if given == nil {
      metadata.note("pre", "is missing, so text is split by a default pattern that few models use")
    }
    let name = given ?? "default"
    guard let family = PreTokenizer.family(named: name) else {
      throw metadata.unsupported("pre", quoted(name))
    }
    let (vocabulary, types) = try metadata.vocabulary()
    var model = BytePairEncoding(vocabulary: vocabulary)
    model.ignoresMerges = family.ignoresMerges
    try metadata.addMerges(to: &model)
    let normalizer: Normalizer? = family.composes ? .nfc : nil
    let (prefix, suffix) = try metadata.specialTokens(
      addsBOS: family.addsBOS, vocabulary: vocabulary)
    self.init(
      model: .bytePairs(model), normalizer: normalizer, preTokenizer: family.preTokenizer,
      addedTokens: AddedTokens(
        metadata.addedTokens(vocabulary, types), normalizer: normalizer),
      decoder: .byteLevel, prefix: prefix, suffix: suffix)
  }

  private init(sentencePiece metadata: GGUFTokenizerMetadata) throws {
    let (vocabulary, types) = try metadata.vocabulary()
    var model = BytePairEncoding(vocabulary: vocabulary)
    try metadata.addMergesByScore(to: &model, types)
    model.byteTokens = vocabulary.byteTokens
    model.fusesUnknown = true
    if let unknown = try metadata.tokenID("unknown_token_id", vocabulary, default: 0) {
      model.unknownToken = Int32(unknown)
    }
    let blank: [UInt32] = [metaspace]
    let addsBlank = try metadata.optionalBool("add_space_prefix") ?? true
    let blanks = Normalizer.replace(SplitPattern(ScalarClass(ranges: [0x20...0x20])), by: blank)
    let normalizer: Normalizer = addsBlank ? .sequence([.prepend(blank), blanks]) : blanks
    let toBlanks = Decoder.replace(
      SplitPattern(ScalarClass(ranges: [blank[0]...blank[0]])), by: [0x20])
    let (prefix, suffix) = try metadata.specialTokens(
      addsBOS: true, bos: 1, eos: 2, vocabulary: vocabulary)
    self.init(
      model: .bytePairs(model), normalizer: normalizer, preTokenizer: nil,
      addedTokens: AddedTokens(
        metadata.addedTokens(vocabulary, types), normalizer: normalizer),
      decoder: .sequence(
        [toBlanks, .byteFallback, .fuse] + (addsBlank ? [.strip(0x20, start: 1, stop: 0)] : [])),
      prefix: prefix, suffix: suffix)
  }
}

/// ▁, which SentencePiece writes for a space.
private let metaspace: UInt32 = 0x2581

extension Tokenizer {
  private init(unigram metadata: GGUFTokenizerMetadata) throws {
    let (vocabulary, types) = try metadata.vocabulary()
    guard let unknown = try metadata.tokenID("unknown_token_id", vocabulary, default: 2) else {
      throw metadata.missing("unknown_token_id")
    }
    let model = Unigram(
      vocabulary: vocabulary, scores: try metadata.scores(count: types.count),
      unknownToken: unknown, spellsBytes: types.contains(.byte),
      isText: { types[$0] == .normal })
    // The steps that converters of these models to tokenizer.json write.
    var steps: [Normalizer] = []
    if let map = try metadata.characterMap() { steps.append(.characters(map)) }
    if try metadata.optionalBool("remove_extra_whitespaces") ?? true {
      steps += [.strip(left: true, right: true), .replace(.blanks, by: [0x20])]
    }
    let addsBlank = try metadata.optionalBool("add_space_prefix") ?? true
    let (prefix, suffix) = try metadata.specialTokens(
      addsBOS: false, addsEOS: true, eos: 1, vocabulary: vocabulary)
    self.init(
      model: .unigram(model), normalizer: .sequence(steps),
      preTokenizer: .metaspace(
        replacement: metaspace, prefix: addsBlank ? .always : .never, splits: true),
      addedTokens: AddedTokens(
        metadata.addedTokens(vocabulary, types), normalizer: .sequence(steps)),
      decoder: .sequence([
        .byteFallback, .metaspace(replacement: metaspace, hasPrefix: addsBlank),
      ]),
      prefix: prefix, suffix: suffix)
  }

  private init(wordPiece metadata: GGUFTokenizerMetadata) throws {
    // In these files a token that begins a word has the prefix ▁, and one that continues a word has none.
    let (vocabulary, types) = try metadata.vocabulary { token, type in
      if type == .control { return Array(token) }
      let blank = Array("\u{2581}".utf8)
      return token.starts(with: blank)
        ? Array(token.dropFirst(blank.count)) : Array("##".utf8) + token
    }
    func token(_ name: String, else spelling: String) throws -> Int {
      if let id = try metadata.tokenID(name, vocabulary) { return id }
      guard let id = vocabulary.id(of: spelling) else { throw metadata.missing(name) }
      return Int(id)
    }
    let model = WordPiece(
      vocabulary: vocabulary, prefix: "##",
      unknownToken: try token("unknown_token_id", else: "[UNK]"), wordLimit: 100)
    // The file does not say whether the model is cased, but every cased vocabulary has capital letters.
    var hasCapitals = false
    vocabulary.forEach { token, id in
      guard types[id] == .normal, !token.starts(with: "[".utf8) else { return }
      let scalars = String(decoding: token, as: UTF8.self).unicodeScalars
      hasCapitals =
        hasCapitals || scalars.contains { $0.properties.generalCategory == .uppercaseLetter }
    }
    let normalizer = Normalizer.bert(
      cleans: true, separatesIdeographs: true, stripsAccents: !hasCapitals, lowercases: !hasCapitals
    )
    self.init(
      model: .wordPiece(model), normalizer: normalizer, preTokenizer: .bert,
      addedTokens: AddedTokens(
        metadata.addedTokens(vocabulary, types), normalizer: normalizer),
      decoder: .wordPiece(prefix: "##", cleansUp: true),
      prefix: [try token("cls_token_id", else: "[CLS]")],
      // The misspelling is that of the key.
      suffix: [try token("seperator_token_id", else: "[SEP]")])
  }
}

extension SplitPattern {
  /// Runs of at least two spaces.
  fileprivate static let blanks = known(" {2,}")
}

/// The metadata of a GGUF file under `tokenizer.ggml.`; errors name the field.
private struct GGUFTokenizerMetadata {
  let file: GGUFFile
  /// Notes about metadata that were accepted although they are irregular.
  let notes = Notes()

  /// A list of notes, shared by all copies of the metadata.
  final class Notes {
    var texts: [String] = []
  }

  func note(_ name: String, _ what: String) {
    notes.texts.append("\(file.file.path): \(key(name)) \(what)")
  }

  /// The type of a token, numbered as in the files.
  enum TokenType: Int {
    case normal = 1
    case unknown, control, userDefined, unused, byte
  }

  private func key(_ name: String) -> String { "tokenizer.ggml.\(name)" }

  func invalid(_ name: String, _ reason: String) -> TokenizationError {
    .invalidField(file: file.file.path, field: key(name), reason: reason)
  }

  func unsupported(_ name: String, _ value: String) -> TokenizationError {
    .unsupported(file: file.file.path, field: key(name), value: value)
  }

  func missing(_ name: String) -> TokenizationError {
    .missingField(file: file.file.path, field: key(name))
  }

  func string(_ name: String) throws -> String {
    guard let value = try optionalString(name) else { throw missing(name) }
    return value
  }

  func optionalString(_ name: String) throws -> String? {
    guard let value = file[key(name)] else { return nil }
    guard let string = value.string else { throw invalid(name, "must be a string") }
    return string
  }

  func optionalBool(_ name: String) throws -> Bool? {
    guard let value = file[key(name)] else { return nil }
    guard let bool = value.bool else { throw invalid(name, "must be true or false") }
    return bool
  }

  private func optionalArray(_ name: String) throws -> GGUFArray? {
    guard let value = file[key(name)] else { return nil }
    guard let array = value.array else { throw invalid(name, "must be an array") }
    return array
  }

  private func array(_ name: String) throws -> GGUFArray {
    guard let array = try optionalArray(name) else { throw missing(name) }
    return array
  }

  /// The tokens, as rewritten by `respell` if it is given, with their positions in the list as ids, and their types.
  func vocabulary(
    respell: ((UnsafeBufferPointer<UInt8>, TokenType) -> [UInt8])? = nil
  ) throws -> (Vocabulary, [TokenType]) {
    let tokens = try array("tokens")
    guard tokens.count < Vocabulary.idLimit else {
      throw invalid(
        "tokens", "has \(tokens.count) elements; fewer than \(Vocabulary.idLimit) are supported")
    }
    var types = [TokenType](repeating: .normal, count: tokens.count)
    if let numbers = try optionalArray("token_type")?.integers() {
      guard numbers.count >= types.count else {
        throw invalid("token_type", "has \(numbers.count) elements for \(types.count) tokens")
      }
      types = numbers.prefix(types.count).map { TokenType(rawValue: $0) ?? .normal }
    }
    var vocabulary = Vocabulary(capacity: tokens.count)
    var id = 0
    var conflict: String?
    try tokens.forEachString { bytes in
      let stored = bytes.bindMemory(to: UInt8.self)
      var token = respell?(stored, types[id])
      if token?.isEmpty ?? stored.isEmpty { token = Array("[EMPTY_\(id)]".utf8) }
      do throws(Vocabulary.Conflict) {
        if let token {
          try vocabulary.insert(token.span, id: id)
        } else {
          try vocabulary.insert(stored.span, id: id)
        }
      } catch {
        conflict = conflict ?? quoted(String(decoding: token ?? Array(stored), as: UTF8.self))
      }
      id += 1
    }
    if let conflict { throw invalid("tokens", "\(conflict) occurs twice") }
    return (vocabulary, types)
  }

  /// The tokens that are searched for in the text itself.
  func addedTokens(_ vocabulary: Vocabulary, _ types: [TokenType]) -> [AddedToken] {
    types.indices.compactMap { id in
      guard [.control, .unknown, .userDefined].contains(types[id]),
        let token = vocabulary.token(id), !token.isEmpty
      else { return nil }
      return AddedToken(
        content: String(decoding: token, as: UTF8.self), id: id,
        isSpecial: types[id] != .userDefined)
    }
  }

  /// Adds the merges in the list `merges`, each `"a b"`.
  func addMerges(to model: inout BytePairEncoding) throws {
    let merges = try array("merges")
    model.reserve(merges: merges.count)
    var both: [UInt8] = []
    var rank: Int32 = 0
    let vocabulary = model.vocabulary
    var failure: TokenizationError?
    try merges.forEachString { bytes in
      // The two tokens are separated by the first space that is not the beginning of the left one.
      both.removeAll(keepingCapacity: true)
      if failure == nil {
        if let blank = bytes.dropFirst().firstIndex(of: 0x20) {
          both.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[..<blank]))
          both.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[(blank + 1)...]))
          do throws(Vocabulary.NoSuchToken) {
            let (left, right, joined) = try vocabulary.merge(both.span, boundary: blank)
            model.addMerge(left, right, .init(rank: rank, token: joined))
          } catch {
            failure = invalid(
              "merges",
              "element \(rank): \(quoted(String(decoding: error.text, as: UTF8.self))) is not a token"
            )
          }
        } else {
          failure = invalid("merges", "element \(rank) is not two tokens separated by a space")
        }
      }
      rank += 1
    }
    if let failure { throw failure }
  }

  /// Adds the merges that the scores imply: two neighbouring tokens become the token they spell together, highest score
  /// first.
  ///
  /// SentencePiece looks up each pair of neighbours in the vocabulary. Here, every token is split into two tokens in all
  /// ways beforehand, which gives the same merges as a list. Kudo and Richardson, "SentencePiece", EMNLP 2018.
  func addMergesByScore(to model: inout BytePairEncoding, _ types: [TokenType]) throws {
    let scores = try scores(count: types.count)
    let vocabulary = model.vocabulary
    let isText = types.map { $0 == .normal || $0 == .userDefined }
    // Equal scores share a rank, so that among them the leftmost pair is merged first.
    var rank: Int32 = -1
    var last = Double.infinity
    for id in scores.indices.sorted(by: { scores[$0] > scores[$1] }) {
      if scores[id] != last { rank += 1 }
      last = scores[id]
      guard isText[id], let token = vocabulary.token(id) else { continue }
      let bytes = Array(token)
      for boundary in bytes.indices.dropFirst() where bytes[boundary] & 0xC0 != 0x80 {
        let (left, right) = (bytes.span.extracting(..<boundary), bytes.span.extracting(boundary...))
        guard let left = vocabulary.id(of: left), isText[Int(left)],
          let right = vocabulary.id(of: right), isText[Int(right)]
        else { continue }
        model.addMerge(left, right, .init(rank: rank, token: Int32(id)))
      }
    }
  }

  /// The scores of `count` tokens.
  func scores(count: Int) throws -> [Double] {
    let scores = try array("scores").reals()
    guard scores.count >= count, scores.allSatisfy(\.isFinite) else {
      throw invalid("scores", "must be \(count) finite numbers, one per token")
    }
    return Array(scores.prefix(count))
  }

  /// The table for normalizing text, if the file has one.
  func characterMap() throws -> CharacterMap? {
    let name = "precompiled_charsmap"
    guard let array = try optionalArray(name) else { return nil }
    let bytes = try array.integers().map { UInt8(truncatingIfNeeded: $0) }
    if bytes.isEmpty { return nil }
    do throws(CharacterMap.Malformed) {
      return try CharacterMap(bytes)
    } catch {
      throw invalid(name, error.reason)
    }
  }

  /// The id of a token: the one in the file if it is valid, else the usual one for this kind of model.
  func tokenID(
    _ name: String, _ vocabulary: Vocabulary, default usual: Int? = nil
  ) throws -> Int? {
    let fallback = usual.flatMap { vocabulary.token($0) == nil ? nil : $0 }
    guard let value = file[key(name)] else { return fallback }
    guard let id = value.int else { throw invalid(name, "must be an integer") }
    if vocabulary.token(id) != nil { return id }
    note(
      name,
      "is \(id), which is not the id of a token; "
        + (fallback.map { "\($0) is used instead" } ?? "it is ignored"))
    return fallback
  }

  /// The tokens before and after a text.
  func specialTokens(
    addsBOS: Bool, addsEOS: Bool = false, bos: Int? = nil, eos: Int? = nil, vocabulary: Vocabulary
  ) throws -> (prefix: [Int], suffix: [Int]) {
    func tokens(_ flag: String, _ id: String, usual: Int?, default adds: Bool) throws -> [Int] {
      guard try optionalBool(flag) ?? adds else { return [] }
      guard let token = try tokenID(id, vocabulary, default: usual) else { throw missing(id) }
      return [token]
    }
    return (
      try tokens("add_bos_token", "bos_token_id", usual: bos, default: addsBOS),
      try tokens("add_eos_token", "eos_token_id", usual: eos, default: addsEOS)
    )
  }
}
