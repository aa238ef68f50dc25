import Analysis
import Checkpoint

/// A file of prompts.
enum PromptFile {
  /// The prompts of a .txt file, one a line, or of a .jsonl file, under `text` or `prompt`. Empty lines do not count.
  ///
  /// Lines end with LF or CR LF and with nothing else: JSON may hold the other separators of Unicode as they are.
  /// Throws `CheckpointError` for a file that cannot be read, `RunError.badOption` for a line that is no prompt.
  static func read(_ path: String) throws -> [String] {
    let file = try MappedFile(path)
    var bytes = try file.copy(0..<file.count)[...]
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }  // a byte order mark
    let isJSON = path.utf8.suffix(6).elementsEqual(".jsonl".utf8)
    let newline = UInt8(ascii: "\n")
    var prompts: [String] = []
    for (i, ended) in bytes.split(separator: newline, omittingEmptySubsequences: false).enumerated()
    {
      let line = ended.last == UInt8(ascii: "\r") ? ended.dropLast() : ended
      guard let text = String(validating: line, as: UTF8.self) else {
        throw CheckpointError.invalidText(file: path, field: "line \(i + 1)")
      }
      guard !text.allSatisfy(\.isWhitespace) else { continue }
      prompts.append(isJSON ? try prompt(in: Array(line), of: path, line: i + 1) : text)
    }
    guard !prompts.isEmpty else {
      throw RunError.badOption(
        option: "--prompts", value: path, reason: "holds no prompt; put one on a line of its own")
    }
    return prompts
  }

  private static func prompt(in line: [UInt8], of path: String, line number: Int) throws -> String {
    let value = try line.withUnsafeBytes {
      try JSONValue.parse($0, source: "\(path), line \(number)")
    }
    guard let prompt = value.object?["text"]?.string ?? value.object?["prompt"]?.string else {
      throw RunError.badOption(
        option: "--prompts", value: path,
        reason: "line \(number) has no text under \"text\" or \"prompt\"")
    }
    return prompt
  }
}
