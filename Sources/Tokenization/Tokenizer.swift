/// Text to token ids and back, as the model was trained with.
///
/// Encoding finds added tokens, normalizes the text between them, cuts it into pieces, encodes each by the model (byte
/// pairs, unigrams or word pieces), and puts the tokens around the whole that are expected there (`<s>` and its like). Each step is
/// the one that the tokenizer's file describes; what a file asks for and is not implemented is an error on reading
/// it, never left out.
///
/// Everything is compared by its bytes: composed and decomposed é are different texts unless the file normalizes.
public struct Tokenizer: Sendable {
  let model: TokenModel
  let normalizer: Normalizer?
  let preTokenizer: PreTokenizer?
  let addedTokens: AddedTokens
  let decoder: Decoder?
  /// Ids put before and after a text.
  let prefix: [Int]
  let suffix: [Int]
  /// What was taken though the file does not say it, or says it badly, a sentence each.
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

  /// The token ids of a text; `addingSpecialTokens` puts those around it that the model expects there.
  ///
  /// O(n log n) in the length n of the text, or O(n · longest token), whatever it is.
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

  /// The text of token ids; ids of no token are left out, and so are special tokens if wanted.
  ///
  /// Bytes that are no UTF-8, as those of half a character are, become U+FFFD.
  public func decode(_ ids: [Int], skippingSpecialTokens: Bool = false) -> String {
    let tokens = ids.compactMap { id in
      skippingSpecialTokens && addedByID[id]?.isSpecial == true ? nil : token(id)
    }
    guard let decoder else { return Decoder.joinWithoutDecoder(tokens) }
    return decoder.decode(tokens).joined()
  }

  /// The token of an id as the vocabulary spells it: " Paris" is `ĠParis` in a byte-level one. `nil` if there is
  /// none.
  public func token(_ id: Int) -> String? {
    addedByID[id]?.content
      ?? model.vocabulary.token(id).map { String(decoding: $0, as: UTF8.self) }
  }

  /// A token that marks structure, whose text a text begins with.
  public struct LeadingToken: Equatable, Sendable {
    /// Its id.
    public let id: Int
    /// Its text: `<s>`.
    public let text: String
    /// Whether encoding makes that token of it; otherwise it is cut up like any other text.
    public let isRead: Bool
  }

  /// The special token whose text a text begins with, as in "<s>Hello"; nil if it begins with none.
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

  /// How many tokens there are, added ones included.
  public var vocabularySize: Int {
    model.vocabulary.count + addedByID.keys.count { model.vocabulary.token($0) == nil }
  }
}
