/// Converts text to the token ids that a model was trained with, and back.
///
/// Encoding finds added tokens, normalizes the text between them, splits it into pieces, encodes each piece with the model
/// (byte pairs, unigrams or word pieces), and adds the special tokens that the model expects around a text (such as `<s>`).
/// The tokenizer's file determines each step; a step that is not supported is an error on reading the file, never skipped.
///
/// Texts are compared by their bytes: composed and decomposed é differ unless the file normalizes them.
public struct Tokenizer: Sendable {
  let model: TokenModel
  let normalizer: Normalizer?
  let preTokenizer: PreTokenizer?
  let addedTokens: AddedTokens
  let decoder: Decoder?
  /// The ids added before and after a text.
  let prefix: [Int]
  let suffix: [Int]
  /// Notes about metadata that are missing or irregular and what was used instead, one sentence each.
  public internal(set) var notes: [String] = []
  private let addedByID: [Int: AddedToken]

  init(
    model: TokenModel, normalizer: Normalizer?, preTokenizer: PreTokenizer?,
    addedTokens: AddedTokens, decoder: Decoder?, prefix: [Int], suffix: [Int]
  ) {
    self.model = model
    self.normalizer = normalizer
    self.preTokenizer = preTokenizer
    self.addedTokens = addedTokens
    self.decoder = decoder
    self.prefix = prefix
    self.suffix = suffix
    addedByID = Dictionary(addedTokens.tokens.map { ($0.id, $0) }) { $1 }
  }

  /// The token ids of a text; with `addingSpecialTokens`, including the special tokens that the model expects around it.
  ///
  /// O(n log n) or O(n · longest token) in the length n of the text, in the worst case.
  public func encode(_ text: String, addingSpecialTokens: Bool = true) -> [Int] {
    var work = TokenModel.Workspace()
    return encode(text, addingSpecialTokens: addingSpecialTokens, using: &work)
  }

  func encode(
    _ text: String, addingSpecialTokens: Bool, using work: inout TokenModel.Workspace
  ) -> [Int] {
    var result = addingSpecialTokens ? prefix : []
    let scalars = text.unicodeScalars.map(\.value)
    for (segment, isAtStart) in addedTokens.segments(of: scalars, normalizer: normalizer) {
      switch segment {
      case .token(let id): result.append(id)
      case .text(let text):
        var pieces = Pieces(text, beginText: isAtStart)
        preTokenizer?.apply(to: &pieces)
        for range in pieces.ranges {
          model.encode(pieces.scalars[range], into: &result, using: &work)
        }
      }
    }
    return addingSpecialTokens ? result + suffix : result
  }

  /// The text of token ids. Ids without a token are skipped, and so are special tokens if `skippingSpecialTokens`.
  ///
  /// Bytes that are not valid UTF-8, such as those of an incomplete character, become U+FFFD.
  public func decode(_ ids: [Int], skippingSpecialTokens: Bool = false) -> String {
    let tokens = ids.compactMap { id in
      skippingSpecialTokens && addedByID[id]?.isSpecial == true ? nil : token(id)
    }
    guard let decoder else { return Decoder.joinWithoutDecoder(tokens) }
    return decoder.decode(tokens).joined()
  }

  /// The token with an id, as the vocabulary spells it: " Paris" is `ĠParis` in a byte-level vocabulary. nil if there is
  /// none.
  public func token(_ id: Int) -> String? {
    addedByID[id]?.content
      ?? model.vocabulary.token(id).map { String(decoding: $0, as: UTF8.self) }
  }

  /// A special token whose spelling begins a text.
  public struct LeadingToken: Equatable, Sendable {
    /// The token's id.
    public let id: Int
    /// The token's spelling, for example `<s>`.
    public let text: String
    /// Whether encoding turns the spelling into that token; otherwise it is split like any other text.
    public let isRead: Bool
  }

  /// The special token whose spelling begins a text, as in "<s>Hello"; nil if there is none.
  public func leadingToken(of text: String) -> LeadingToken? {
    let scalars = text.unicodeScalars.map(\.value)
    if case .token(let id)? = addedTokens.segments(of: scalars, normalizer: normalizer).first?
      .segment, let token = addedByID[id], token.isSpecial
    {
      return LeadingToken(id: id, text: token.content, isRead: true)
    }
    return prefix.lazy.compactMap { id in token(id).map { (id, $0) } }
      .first { !$0.1.isEmpty && text.utf8.starts(with: $0.1.utf8) }
      .map { LeadingToken(id: $0.0, text: $0.1, isRead: false) }
  }

  /// The number of tokens, including added ones.
  public var vocabularySize: Int {
    model.vocabulary.count + addedByID.keys.count { model.vocabulary.token($0) == nil }
  }
}
