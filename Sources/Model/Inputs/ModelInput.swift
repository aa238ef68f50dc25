/// One prompt in the form in which a model takes it.
public enum ModelInput: Sendable, Equatable {
  /// Token ids.
  case tokens([Int])
  /// The decoder's token ids, and those of the encoder, whose output the decoder attends to.
  case decoder([Int], encoder: [Int])
  /// An image.
  case image(PixelValues)

  /// The ids whose states pass through the blocks; an image has none.
  public var tokens: [Int] {
    switch self {
    case .tokens(let ids), .decoder(let ids, _): ids
    case .image: []
    }
  }

  /// The ids that the encoder reads; nil if there is no encoder.
  public var encoderTokens: [Int]? {
    if case .decoder(_, let ids) = self { ids } else { nil }
  }
}

/// The kind of input that the models of a family take.
public enum InputKind: Sendable, Equatable {
  /// Token ids.
  case tokens
  /// Token ids of a decoder, whose texts start with the token `start`, and of an encoder.
  case decoder(start: Int)
  /// An image of these dimensions.
  case image(channels: Int, height: Int, width: Int)
}

extension InputKind: CustomStringConvertible {
  /// A description in words.
  public var description: String {
    switch self {
    case .tokens: "tokens"
    case .decoder: "tokens of a decoder, and of the encoder it attends to"
    case .image(let channels, let height, let width):
      "an image, as pixel values (\(channels), \(height), \(width))"
    }
  }
}

extension ModelDescription {
  /// The number of tokens of a prompt; an image always fills all positions.
  public func tokenCount(of input: ModelInput) -> Int {
    if case .image = input { positions ?? 0 } else { input.tokens.count }
  }

  /// Throws `ModelError` unless the model can take this input: for another kind of input, an image of another size,
  /// no tokens, a token outside the vocabulary, or more tokens than positions.
  public func check(_ input: ModelInput) throws(ModelError) {
    switch (self.input, input) {
    case (.tokens, .tokens(let ids)): try check(ids)
    case (.decoder, .decoder(let ids, let encoder)):
      try check(ids)
      try check(encoder)
    case (.image(let channels, let height, let width), .image(let image)):
      guard (image.channels, image.height, image.width) == (channels, height, width) else {
        throw .wrongInput(
          given: "pixel values (\(image.channels), \(image.height), \(image.width))",
          needed: "\(self.input)")
      }
    case (_, .tokens): throw .wrongInput(given: "tokens alone", needed: "\(self.input)")
    case (_, .decoder): throw .wrongInput(given: "an encoder's tokens", needed: "\(self.input)")
    case (_, .image): throw .wrongInput(given: "an image", needed: "\(self.input)")
    }
  }

  private func check(_ ids: [Int]) throws(ModelError) {
    guard !ids.isEmpty else { throw .emptyPrompt }
    if let id = ids.first(where: { $0 < 0 || $0 >= vocabulary }) {
      throw .tokenOutOfRange(id: id, vocabulary: vocabulary)
    }
    if let positions, ids.count > positions {
      throw .promptTooLong(tokens: ids.count, limit: positions)
    }
  }
}
