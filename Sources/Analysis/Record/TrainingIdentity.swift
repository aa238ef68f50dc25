import Model

/// What all checkpoints of a training run have in common: the architecture, and the tokens of the prompts.
public struct TrainingIdentity: Sendable, Equatable {
  private let architecture: [String]
  private let prompts: [[String]]

  /// The names of the entries of `architecture`.
  private static let names = [
    "family", "blocks", "width", "vocabulary", "attention heads", "key-value heads",
    "width of the MLP", "causal mask",
  ]

  init(_ model: ModelDescription, _ prompts: [some IdentifiedPrompt]) {
    architecture =
      [model.family]
      + [
        model.layers, model.width, model.vocabulary, model.heads, model.keyValueHeads,
        model.feedForwardWidth,
      ].map { "\($0)" } + [model.isCausal ? "yes" : "no"]
    self.prompts = prompts.map(\.read)
  }

  /// What differs from `other`, an identity over the same list of prompts.
  public func difference(from other: TrainingIdentity) -> String {
    let parts = Self.names.indices.filter { architecture[$0] != other.architecture[$0] }.map {
      "\(Self.names[$0]) \(architecture[$0]) instead of \(other.architecture[$0])"
    }
    guard parts.isEmpty else { return parts.joined(separator: ", ") }
    let p = zip(prompts, other.prompts).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
    return "its tokenizer turns prompt \(p + 1) into other tokens"
  }
}
