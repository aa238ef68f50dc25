import Files
import Checkpoint
import Foundation

/// How a message names one prompt of several: `prompt 31 ("cat cat cat cat cat…", line 31 of long.txt)`.
public struct PromptLabel: Sendable, Equatable, CustomStringConvertible {
  /// Its number in the whole list, from 1; a shard keeps the numbers of its list.
  public let number: Int
  /// The text, image or token ids as given, shortened to one line; empty for an empty text.
  public let given: String
  /// Where the prompt comes from, such as `line 31 of long.txt`; nil for an option.
  public let origin: String?

  /// The label of a prompt as it was given.
  public init(number: Int, _ input: PromptInput) {
    switch input {
    case .text(let text, let origin): self.init(number: number, text: text, origin: origin)
    case .tokens(let ids): self.init(number: number, tokens: ids)
    case .image(let path): self.init(number: number, image: path)
    }
  }

  /// The label of a recorded prompt, whose origin is not known.
  public init(number: Int, _ record: PromptRecord) {
    self.init(number: number, record.text, record.image, record.tokenIds)
  }

  /// The label of a prompt to be run.
  init(number: Int, _ header: PromptHeader) {
    self.init(number: number, header.text, header.image, header.tokenIds)
  }

  /// The label of a failed prompt.
  public init(_ failure: PromptFailure) {
    self.init(number: failure.number, failure.text, nil, nil)
  }

  private init(number: Int, _ text: String?, _ image: String?, _ tokens: [Int]?) {
    if let text {
      self.init(number: number, text: text, origin: nil)
    } else if let image {
      self.init(number: number, image: image)
    } else {
      self.init(number: number, tokens: tokens ?? [])
    }
  }

  private init(number: Int, text: String, origin: String?) {
    let given = text.isEmpty ? "" : quoted(text, limit: 40)
    self.init(number: number, given: given, origin: origin)
  }

  private init(number: Int, image: String) {
    self.init(number: number, given: "image \(escaped(image, limit: 80))", origin: nil)
  }

  private init(number: Int, tokens: [Int]) {
    let list = tokens.prefix(8).map { "\($0)" }.joined(separator: ",")
    let given =
      tokens.isEmpty ? "" : "token ids \(list)" + (tokens.count > 8 ? ",…" : "")
    self.init(number: number, given: given, origin: nil)
  }

  private init(number: Int, given: String, origin: String?) {
    (self.number, self.given, self.origin) = (number, given, origin)
  }

  /// The number, and in parentheses what is known about the prompt.
  public var description: String {
    let parts = [given, origin ?? ""].filter { !$0.isEmpty }
    return "prompt \(number)" + (parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))")
  }
}

extension PromptLabel {
  /// The label of a prompt in a result.
  public init(number: Int, _ entry: PromptEntry) {
    self.init(number: number, entry.text, entry.image, entry.tokenIds)
  }
}

extension RunError {
  /// Does some work on a prompt, and adds the prompt's name to errors.
  ///
  /// `RunError`s, which name an option, are thrown unchanged.
  static func naming<T>(_ label: PromptLabel, _ work: () throws -> T) throws -> T {
    do { return try work() } catch let error as RunError { throw error } catch {
      throw RunError.badPrompt(label, reason: "\(error)")
    }
  }
}
