/// Why a prompt has no results: what stopped being a number, and where. The run's other prompts go on without it.
public struct PromptFailure: Codable, Sendable, Equatable {
  /// The prompt among those of the whole list, from 1.
  public var number: Int
  /// Its text, if it was given as text.
  @Nullable public var text: String?
  /// The block, from 1; 0 for the embedding.
  public var layer: Int
  /// The token, from 0; null where it is not known.
  @Nullable public var token: Int?
  /// The tensor that holds what is not a number; null where all weights are finite.
  @Nullable public var tensor: String?
  /// What happened, in a sentence.
  public var reason: String
}

extension PromptFailure: CustomStringConvertible {
  /// One line: which prompt, where, and what happened.
  public var description: String {
    let place = layer == 0 ? "at the embedding" : "at block \(layer)"
    return "\(PromptLabel(self)) failed \(place)\(token.map { ", token \($0)" } ?? ""): \(reason)"
  }
}
