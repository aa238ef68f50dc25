/// What turns a piece of text into tokens.
enum TokenModel: Sendable {
  case bytePairs(BytePairEncoding)
  case unigram(Unigram)
  case wordPiece(WordPiece)

  /// The tokens.
  var vocabulary: Vocabulary {
    switch self {
    case .bytePairs(let model): model.vocabulary
    case .unigram(let model): model.vocabulary
    case .wordPiece(let model): model.vocabulary
    }
  }

  /// What encoding needs beyond the model, kept from piece to piece.
  struct Workspace {
    var bytePairs = BytePairEncoding.Workspace()
    var unigram = Unigram.Workspace()
    /// Scalars that `WordPiece` looked at so far, the measure of its work.
    var wordPieceSteps = 0
  }

  /// The tokens of a piece, appended to `result`.
  func encode(_ piece: ArraySlice<UInt32>, into result: inout [Int], using work: inout Workspace) {
    switch self {
    case .bytePairs(let model): model.encode(piece, into: &result, using: &work.bytePairs)
    case .unigram(let model): model.encode(piece, into: &result, using: &work.unigram)
    case .wordPiece(let model): work.wordPieceSteps += model.encode(piece, into: &result)
    }
  }
}
