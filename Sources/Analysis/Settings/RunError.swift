/// A request that cannot be met. Each names the setting and says what would do.
public enum RunError: SettingError, Equatable, Sendable {
  /// A setting's value does not fit the model, or the other settings.
  case badSetting(SettingKey, value: String = "", reason: SettingMessage)
  /// A run or model, by its path, that does not go with the others it was given with.
  case unfit(path: String, reason: SettingMessage)
  /// A prompt without tokens.
  case emptyPrompt(PromptLabel)
  /// A prompt the model cannot be run on.
  case badPrompt(PromptLabel, reason: String)
  /// Text, but no tokenizer.
  case noTokenizer(path: String)
  /// Text, and a tokenizer that cannot be used.
  case badTokenizer(reason: String)
  /// A folder that holds something already.
  case outputNotEmpty(path: String)
  /// A folder of a run whose numbers are others than this one's would be.
  case otherRun(path: String, reason: SettingMessage)
  /// Runs that cannot be joined.
  case notTogether(path: String, reason: SettingMessage)
  /// A folder that another process is writing.
  case inUse(path: String)
  /// Writing failed.
  case cannotWrite(path: String, reason: String)
  /// Something that was finished cannot be read now; it is not lost.
  case cannotRead(path: String, reason: String)
  /// Something that was finished is gone, or no longer what was written.
  case lostUnit(path: String, unit: String)
  /// No prompt came through: why, for each.
  case allFailed([PromptFailure])
  /// A folder that holds no run, or a damaged one.
  case badRun(path: String, reason: String)
  /// Not a table, or one that says something impossible.
  case badTable(path: String, line: Int, reason: String)
  /// Too few models that have both a number and a score.
  case tooFewScored(count: Int, needed: Int, path: String)
  /// Some checkpoints of many have no run, or one in which prompts failed; the others do.
  case checkpointsFailed(count: Int, total: Int, path: String)
  /// The user asked to stop. The folder, if there is something in it to go on from.
  case interrupted(resume: String?)

  /// What is wrong and what to do.
  public var message: SettingMessage {
    switch self {
    case .badSetting(let key, let value, let reason):
      value.isEmpty ? "\(key): \(reason)" : "\(key) \(value): \(reason)"
    case .unfit(let path, let reason): "\(path): \(reason)"
    case .emptyPrompt(let prompt):
      "\(prompt) is empty; give some text, or token ids with \(.tokenIds)"
    case .badPrompt(let prompt, let reason): "\(prompt): \(reason)"
    case .noTokenizer(let path):
      "\(path) has no tokenizer.json; put it there, or give token ids (\(.tokenIds), \(.encoderTokenIds)) in "
        + "place of text"
    case .badTokenizer(let reason): "\(reason) (\(.tokenIds))"
    case .outputNotEmpty(let path):
      "\(path) exists, is not empty and holds no run; choose another folder with \(.output), or remove it"
    case .otherRun(let path, let reason):
      "\(path) holds another run: \(reason); choose another folder with \(.output), or repeat that run's "
        + "command to go on with it"
    case .notTogether(let path, let reason):
      "\(path): cannot be joined with the others: \(reason)"
    case .inUse(let path):
      "\(path) is being written by another process; wait for it, or choose another folder with \(.output)"
    case .cannotWrite(let path, let reason):
      "\(path): cannot be written (\(reason)); make room there, or choose another folder with \(.output) (in "
        + "the same one, what was finished is taken up again)"
    case .cannotRead(let path, let reason):
      "\(path): cannot be read (\(reason)); what was finished is kept: see to that, and repeat the command, "
        + "which goes on from there"
    case .lostUnit(let path, let unit):
      "\(path): \(unit) disappeared or changed while the run went on; the rest is kept: repeat the command, "
        + "which computes it again, and let nothing else write there"
    case .allFailed(let failures):
      "\(failures.map { "\($0)" }.joined(separator: "\n"))"
    case .badRun(let path, let reason):
      "\(path): is no run that can be read (\(reason)); name a folder that krylens align has written"
    case .badTable(let path, let line, let reason): "\(path), line \(line): \(reason)"
    case .tooFewScored(let count, let needed, let path):
      "\(count) of the \(needed) models that a correlation needs have both a number and a score; add runs, or "
        + "name them as \(path) does (\(.name) of a run)"
    case .checkpointsFailed(let count, let total, let path):
      "\(count) of \(total) checkpoints failed, as \(path) says; the others are finished, and the same command "
        + "tries these again"
    case .interrupted(nil): "interrupted; nothing was finished, and nothing is kept"
    case .interrupted(let path?):
      "interrupted; what was finished is kept in \(path): the same command with \(.output) \(path) resumes the run"
    }
  }
}
