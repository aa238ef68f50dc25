import Files
import Analysis
import Checkpoint
import Foundation

/// A file of prompts.
struct PromptFile {
  /// The prompts, each with its place in the file.
  let prompts: [PromptInput]
  /// How the file was read where it may have been meant differently.
  let notes: [String]

  /// Reads a file by its extension, in either case: .jsonl holds one prompt per line, and .json one array of prompts,
  /// each an object with the key `text` or `prompt`, or a string; any other file holds one text per line.
  ///
  /// Empty lines are skipped. Lines end with LF or CR LF only, since JSON may contain Unicode's other line separators
  /// unescaped. Throws `FileError` for a file that cannot be read, `OptionError` for an entry that is not a prompt.
  init(_ path: String) throws {
    let file = try MappedFile(path)
    var bytes = try file.copy(0..<file.count)[...]
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }  // a byte order mark
    var reader = Reader(path: path, name: escaped(path, limit: 100))
    switch (path as NSString).pathExtension.lowercased() {
    case "json": try reader.readArray(Array(bytes))
    case "jsonl": try reader.readLines(bytes, asJSON: true)
    default: try reader.readLines(bytes, asJSON: false)
    }
    guard !reader.prompts.isEmpty else {
      throw OptionError(
        option: "--prompts", value: path, reason: "holds no prompt; write one prompt per line")
    }
    (prompts, notes) = (reader.prompts, reader.notes)
  }

  private struct Reader {
    let path: String
    /// The path, escaped for printing.
    let name: String
    var prompts: [PromptInput] = []
    var notes: [String] = []
    private var hasBothKeys = false

    init(path: String, name: String) { (self.path, self.name) = (path, name) }

    mutating func readLines(_ bytes: ArraySlice<UInt8>, asJSON: Bool) throws {
      let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      for (i, ended) in lines.enumerated() {
        let line = ended.last == UInt8(ascii: "\r") ? ended.dropLast() : ended
        guard let text = String(validating: line, as: UTF8.self) else {
          throw FileError.invalidText(file: path, field: "line \(i + 1)")
        }
        guard !text.allSatisfy(\.isWhitespace) else { continue }
        let place = "line \(i + 1)"
        guard asJSON else {
          if prompts.isEmpty { noteLikeness(of: text) }
          prompts.append(.text(text, origin: "\(place) of \(name)"))
          continue
        }
        let value = try Array(line).withUnsafeBytes {
          try JSONValue.parse($0, source: "\(path), \(place)")
        }
        try append(value, place)
      }
    }

    mutating func readArray(_ bytes: [UInt8]) throws {
      let value: JSONValue
      do { value = try bytes.withUnsafeBytes { try JSONValue.parse($0, source: path) } } catch {
        throw refusal(
          "is not one JSON value (\(error)); if every line is a JSON object of its own, rename the file to end in .jsonl"
        )
      }
      guard let items = value.array else {
        throw refusal(
          "holds no array; write [{\"text\": \"…\"}, …], or rename the file to end in .jsonl and write one prompt per line"
        )
      }
      for (i, item) in items.enumerated() { try append(item, "item \(i + 1)") }
    }

    private mutating func append(_ value: JSONValue, _ place: String) throws {
      let (text, prompt) = (value.object?["text"]?.string, value.object?["prompt"]?.string)
      guard let chosen = value.string ?? text ?? prompt else {
        throw refusal("\(place) has no text under \"text\" or \"prompt\"")
      }
      if let text, let prompt, text != prompt, !hasBothKeys {
        hasBothKeys = true
        notes.append("\(name): \(place) has both \"text\" and \"prompt\"; \"text\" is used")
      }
      prompts.append(.text(chosen, origin: "\(place) of \(name)"))
    }

    /// Notes a first line that looks like JSON in a file whose name does not say so.
    private mutating func noteLikeness(of line: String) {
      let start = line.filter { !$0.isWhitespace }.prefix(2)
      guard ["{", "[", "{\"", "[\"", "[{", "{}", "[]"].contains(start) else { return }
      notes.append(
        "\(name): the first line looks like JSON, but every line is read as a prompt as it is; if it is JSON, rename the "
          + "file to end in .jsonl (one object per line) or .json (one array)")
    }

    private func refusal(_ reason: String) -> OptionError {
      OptionError(option: "--prompts", value: path, reason: reason)
    }
  }
}
