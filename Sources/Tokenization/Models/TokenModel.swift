/// The model that turns a piece of text into tokens.
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

  /// Memory for encoding, reused from piece to piece.
  struct Workspace {
    var bytePairs = BytePairEncoding.Workspace()
    var unigram = Unigram.Workspace()
    /// The number of scalars that `WordPiece` has examined so far, a measure of the work done.
    var wordPieceSteps = 0
  }

  /// Appends the tokens of a piece to `result`.
  func encode(_ piece: ArraySlice<UInt32>, into result: inout [Int], using work: inout Workspace) {
    switch self {
    case .bytePairs(let model): model.encode(piece, into: &result, using: &work.bytePairs)
    case .unigram(let model): model.encode(piece, into: &result, using: &work.unigram)
    case .wordPiece(let model): work.wordPieceSteps += model.encode(piece, into: &result)
    }
  }
}
