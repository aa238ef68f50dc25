/// Why a prompt has no results: which numbers stopped being finite, and where. The run continues with the other prompts.
public struct PromptFailure: Codable, Sendable, Equatable {
  /// The number of the prompt in the whole list, from 1.
  public var number: Int
  /// Its text, if it was given as text.
  @Nullable public var text: String?
  /// The block, from 1; 0 for the embedding.
  public var layer: Int
  /// The token, from 0; null if it is not known.
  @Nullable public var token: Int?
  /// The tensor that holds NaN or infinity; null if all weights are finite.
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
