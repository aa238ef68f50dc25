import Files
import Checkpoint

/// A prompt identified by what the model reads: its tokens, or the pixels of its image.
package protocol IdentifiedPrompt {
  var image: String? { get }
  var imageHash: String? { get }
  var tokenIds: [Int]? { get }
  var encoderTokenIds: [Int]? { get }
}

extension PromptRecord: IdentifiedPrompt {}
extension PromptHeader: IdentifiedPrompt {}

extension IdentifiedPrompt {
  /// What the model reads, exact to the token or the byte of an image.
  package var read: [String] {
    [imageHash ?? image ?? ""] + [tokenIds, encoderTokenIds].map { "\($0 ?? [])" }
  }
}

extension Array where Element: IdentifiedPrompt {
  /// For each prompt the position of the first prompt equal to it: its own, unless it is a repetition.
  package var firstAlike: [Int] {
    var first: [[String]: Int] = [:]
    return enumerated().map { i, prompt in
      let read = prompt.read
      if let known = first[read] { return known }
      first[read] = i
      return i
    }
  }
}

extension PromptRecord {
  /// The prompt as given, before any tokenizer: equal for the same text in several models.
  package var given: [String] {
    if let text { return ["text", text] }
    if let image { return ["image", image] }
    return ["ids"] + (tokenIds ?? []).map { "\($0)" }
  }
}

/// Identifies the whole list of prompts of which a shard has a part, so that parts of different lists are not joined.
public struct PromptList: Codable, Sendable, Equatable {
  /// The number of prompts.
  public let count: Int
  /// A hash of what the model reads for all prompts, in order.
  public let hash: String

  init(_ prompts: [some IdentifiedPrompt]) {
    var hash = ContentHash()
    for prompt in prompts {
      for part in prompt.read { hash.combine(part) }
    }
    (count, self.hash) = (prompts.count, hash.digits)
  }
}
