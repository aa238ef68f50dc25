import Files
import Checkpoint

// The models of a `tokenizer.json`, under its key `model`.

extension TokenModel {
  init(_ field: JSONField) throws(TokenizationError) {
    switch try Self.type(of: field) {
    case "BPE": self = .bytePairs(try BytePairEncoding(field))
    case "Unigram": self = .unigram(try Unigram(field))
    case "WordPiece": self = .wordPiece(try WordPiece(field))
    case let type: throw try field.required("type").unsupported(quoted(type))
    }
  }

  /// The type of the model. Files of 2019 do not state it; it is then inferred from the keys that each type needs.
  private static func type(of field: JSONField) throws(TokenizationError) -> String {
    if let type = try field.optional("type") { return try type.string() }
    let object = try field.object()
    if object["merges"] != nil { return "BPE" }
    if object["max_input_chars_per_word"] != nil { return "WordPiece" }
    if object["unk_id"] != nil { return "Unigram" }
    throw .missingField(file: field.file, field: "\(field.path).type")
  }
}

extension JSONField {
  /// Adds a token to the vocabulary; errors are about this field.
  private func insert(
    _ token: String, id: Int, into vocabulary: inout Vocabulary
  ) throws(TokenizationError) {
    var token = token
    token.makeContiguousUTF8()
    do throws(Vocabulary.Conflict) {
      try vocabulary.insert(token.utf8Span.span, id: id)
    } catch {
      let reason =
        switch error {
        case .idOutOfRange: "has the id \(id), which is not from 0 to \(Vocabulary.idLimit - 1)"
        case .idTaken: "has the id \(id) of another token"
        case .tokenTaken: "occurs twice"
        }
      throw invalid("token \(quoted(token)) \(reason)")
    }
  }

  /// The vocabulary in an object from tokens to ids.
  fileprivate func vocabulary() throws(TokenizationError) -> Vocabulary {
    let members = try object().members
    var vocabulary = Vocabulary(capacity: members.count)
    for (token, value) in members {
      guard let id = value.int else {
        throw invalid("the id of token \(quoted(token)) is not an integer")
      }
      try insert(token, id: id, into: &vocabulary)
    }
    return vocabulary
  }

  /// The vocabulary and the scores in an array of pairs, in the order of ids.
  fileprivate func scoredVocabulary() throws(TokenizationError) -> (Vocabulary, [Double]) {
    guard let pairs = value.array else { throw invalid("must be an array") }
    var vocabulary = Vocabulary(capacity: pairs.count)
    var scores: [Double] = []
    scores.reserveCapacity(pairs.count)
    for (id, pair) in pairs.enumerated() {
      guard let pair = pair.array, pair.count == 2, let token = pair[0].string,
        let score = pair[1].double
      else { throw invalid("element \(id) must be a pair of a token and its score") }
      try insert(token, id: id, into: &vocabulary)
      scores.append(score)
    }
    return (vocabulary, scores)
  }

  /// The id of the token that this field names.
  fileprivate func token(of vocabulary: Vocabulary) throws(TokenizationError) -> Int32 {
    let token = try string()
    guard let id = vocabulary.id(of: token) else {
      throw invalid("\(quoted(token)) is not in model.vocab")
    }
    return id
  }
}

extension Unigram {
  fileprivate init(_ field: JSONField) throws(TokenizationError) {
    let (vocabulary, scores) = try field.required("vocab").scoredVocabulary()
    let unknown = try field.required("unk_id")
    guard scores.indices.contains(try unknown.int()) else {
      throw unknown.invalid("is not the id of a token")
    }
    self.init(
      vocabulary: vocabulary, scores: scores, unknownToken: try unknown.int(),
      spellsBytes: try field.bool("byte_fallback", default: false))
  }
}

extension WordPiece {
  fileprivate init(_ field: JSONField) throws(TokenizationError) {
    let vocabulary = try field.required("vocab").vocabulary()
    let limit = try field.required("max_input_chars_per_word")
    guard try limit.int() >= 0 else { throw limit.invalid("must not be negative") }
    self.init(
      vocabulary: vocabulary, prefix: try field.required("continuing_subword_prefix").string(),
      unknownToken: Int(try field.required("unk_token").token(of: vocabulary)),
      wordLimit: try limit.int())
  }
}

extension BytePairEncoding {
  fileprivate init(_ field: JSONField) throws(TokenizationError) {
    if let prefix = try field.optional("continuing_subword_prefix"), try !prefix.string().isEmpty {
      throw prefix.unsupported(quoted(try prefix.string()))
    }
    if let dropout = try field.optional("dropout"), dropout.value.double != 0 {
      throw dropout.unsupported("random")
    }

    self.init(vocabulary: try field.required("vocab").vocabulary())

    try addMerges(field.required("merges"))
    ignoresMerges = try field.bool("ignore_merges", default: false)
    fusesUnknown = try field.bool("fuse_unk", default: false)
    suffix = Array(try field.optional("end_of_word_suffix")?.string().utf8 ?? "".utf8)
    if try field.bool("byte_fallback", default: false) { byteTokens = vocabulary.byteTokens }
    if let unknown = try field.optional("unk_token") {
      unknownToken = try unknown.token(of: vocabulary)
    }
  }

  /// Adds the merges, each `"a b"` or `["a", "b"]`.
  private mutating func addMerges(_ field: JSONField) throws(TokenizationError) {
    guard let merges = field.value.array else { throw field.invalid("must be an array") }
    reserve(merges: merges.count)
    var both: [UInt8] = []
    var rank: Int32 = 0
    let vocabulary = vocabulary
    for (i, merge) in merges.enumerated() {
      func invalid(_ reason: String) -> TokenizationError {
        .invalidField(file: field.file, field: "\(field.path)[\(i)]", reason: reason)
      }
      both.removeAll(keepingCapacity: true)
      let boundary: Int
      switch merge {
      case .string(let text):
        if text.utf8.starts(with: "#version".utf8) { continue }
        both += text.utf8
        guard let blank = both.firstIndex(of: 0x20), both.lastIndex(of: 0x20) == blank else {
          throw invalid("must be two tokens separated by one space")
        }
        both.remove(at: blank)
        boundary = blank
      case .array(let pair):
        guard pair.count == 2, let left = pair[0].string, let right = pair[1].string else {
          throw invalid("must be two tokens")
        }
        both += left.utf8
        boundary = both.count
        both += right.utf8
      default: throw invalid("must be two tokens")
      }
      do throws(Vocabulary.NoSuchToken) {
        let (left, right, joined) = try vocabulary.merge(both.span, boundary: boundary)
        addMerge(left, right, Merge(rank: rank, token: joined))
      } catch {
        throw invalid(
          "\(quoted(String(decoding: error.text, as: UTF8.self))) is not in model.vocab")
      }
      rank += 1
    }
  }
}
