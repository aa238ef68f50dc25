import Files
import Checkpoint

/// A prompt whose identity is what the model read: its tokens, or the pixels of its image.
package protocol IdentifiedPrompt {
  var image: String? { get }
  var imageHash: String? { get }
  var tokenIds: [Int]? { get }
  var encoderTokenIds: [Int]? { get }
}

extension PromptRecord: IdentifiedPrompt {}
extension PromptHeader: IdentifiedPrompt {}

extension IdentifiedPrompt {
  /// What the model read, to the token or the byte of an image.
  package var read: [String] {
    [imageHash ?? image ?? ""] + [tokenIds, encoderTokenIds].map { "\($0 ?? [])" }
  }
}

extension Array where Element: IdentifiedPrompt {
  /// For every prompt the position of the first one that is the same: its own, unless it is a repetition.
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
  /// What was given, whatever a model's tokenizer made of it: the same for one text in several models.
  package var given: [String] {
    if let text { return ["text", text] }
    if let image { return ["image", image] }
    return ["ids"] + (tokenIds ?? []).map { "\($0)" }
  }
}

/// The whole list of prompts that a shard has a part of, so that parts of different lists are not taken for one run.
public struct PromptList: Codable, Sendable, Equatable {
  /// Prompts.
  public let count: Int
  /// A hash of what the model reads of all of them, in their order.
  public let hash: String

  init(_ prompts: [some IdentifiedPrompt]) {
    var hash = ContentHash()
    for prompt in prompts {
      for part in prompt.read { hash.combine(part) }
    }
    (count, self.hash) = (prompts.count, hash.digits)
  }
}
