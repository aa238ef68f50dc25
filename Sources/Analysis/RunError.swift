/// A request that cannot be met. Each names the option and says what would do.
public enum RunError: Error, Equatable, CustomStringConvertible, Sendable {
  /// An option's value does not fit the model.
  case badOption(option: String, value: String, reason: String)
  /// No prompt, or one without tokens.
  case emptyPrompt(index: Int)
  /// Text, but no tokenizer.
  case noTokenizer(path: String)
  /// A folder that holds something already.
  case outputNotEmpty(path: String)
  /// Writing failed.
  case cannotWrite(path: String, reason: String)
  /// A folder that holds no run, or a damaged one.
  case badRun(path: String, reason: String)
  /// The user asked to stop.
  case interrupted

  /// What is wrong and what to do.
  public var description: String {
    switch self {
    case .badOption(let option, let value, let reason):
      value.isEmpty ? "\(option): \(reason)" : "\(option) \(value): \(reason)"
    case .emptyPrompt(let index):
      "prompt \(index + 1) is empty; give some text, or token ids with --token-ids"
    case .noTokenizer(let path):
      "\(path) has no tokenizer.json; put it there, or give token ids (--token-ids, --encoder-token-ids) in place "
        + "of text"
    case .outputNotEmpty(let path):
      "\(path) exists and is not empty; choose another folder with --output, or remove it"
    case .cannotWrite(let path, let reason):
      "\(path): cannot be written (\(reason)); make room there, or choose another folder with --output"
    case .badRun(let path, let reason):
      "\(path): is no run that can be read (\(reason)); name a folder that krylens align has written"
    case .interrupted: "interrupted; nothing was written"
    }
  }
}
