import Analysis
import Checkpoint
import Foundation

/// A file of prompts.
enum PromptFile {
  /// The prompts of a .txt file, one a line, or of a .jsonl file, under `text` or `prompt`. Empty lines do not count.
  ///
  /// Throws `CheckpointError` for a file that cannot be read, `RunError.badOption` for a line that is no prompt.
  static func read(_ path: String) throws -> [String] {
    let file = try MappedFile(path)
    let bytes = try file.copy(0..<file.count)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CheckpointError.invalidText(file: path, field: "the whole")
    }
    let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
    let isJSON = path.hasSuffix(".jsonl")
    var prompts: [String] = []
    for (i, line) in lines.enumerated()
    where !line.allSatisfy(\.isWhitespace) {
      guard isJSON else {
        prompts.append(String(line))
        continue
      }
      let bytes = Array(line.utf8)
      let value = try bytes.withUnsafeBytes {
        try JSONValue.parse($0, source: "\(path), line \(i + 1)")
      }
      guard let prompt = (value.object?["text"] ?? value.object?["prompt"])?.string else {
        throw RunError.badOption(
          option: "--prompts", value: path,
          reason: "line \(i + 1) has no text under \"text\" or \"prompt\"")
      }
      prompts.append(prompt)
    }
    return prompts
  }
}
