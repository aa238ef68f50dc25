/// A request that cannot be met. Each case names the setting and says what would work.
public enum RunError: SettingError, Equatable, Sendable {
  /// A setting's value does not fit the model, or the other settings.
  case badSetting(SettingKey, value: String = "", reason: SettingMessage)
  /// An environment variable whose value means nothing here.
  case badVariable(String, value: String, reason: String)
  /// A run or model, by its path, that does not fit what is to be done with it.
  case unfit(path: String, reason: SettingMessage)
  /// A prompt without tokens.
  case emptyPrompt(PromptLabel)
  /// A prompt the model cannot be run on.
  case badPrompt(PromptLabel, reason: String)
  /// Text for a model without a tokenizer.
  case noTokenizer(path: String)
  /// Text for a model whose tokenizer cannot be used.
  case badTokenizer(reason: String)
  /// A folder that already holds something else.
  case outputNotEmpty(path: String)
  /// A folder with a run whose numbers differ from this one's.
  case otherRun(path: String, reason: SettingMessage)
  /// Runs that cannot be joined.
  case notTogether(path: String, reason: SettingMessage)
  /// A folder that another process is writing to.
  case inUse(path: String)
  /// Writing failed.
  case cannotWrite(path: String, reason: String)
  /// Finished work cannot be read now, but is not lost.
  case cannotRead(path: String, reason: String)
  /// Finished work is gone, or has changed since it was written.
  case lostUnit(path: String, unit: String)
  /// Finished work of another process that does not appear in the folder.
  case notVisible(path: String, unit: String)
  /// Processes of one job that were not started with the same.
  case otherProcess(number: Int, reason: SettingMessage)
  /// All prompts failed, each with its reason.
  case allFailed([PromptFailure])
  /// A folder that holds no run, or a damaged one.
  case badRun(path: String, reason: String)
  /// A file that is not a table, or a table with an invalid entry.
  case badTable(path: String, line: Int, reason: String)
  /// Too few models that have both a number and a score.
  case tooFewScored(count: Int, needed: Int, path: String)
  /// Some checkpoints have no run, or one in which prompts failed; the others succeeded.
  case checkpointsFailed(count: Int, total: Int, path: String)
  /// The user asked to stop; with the folder, if there is something in it to resume from.
  case interrupted(resume: String?)

  /// What is wrong and what to do.
  public var message: SettingMessage {
    switch self {
    case .badSetting(let key, let value, let reason):
      value.isEmpty ? "\(key): \(reason)" : "\(key) \(value): \(reason)"
    case .badVariable(let name, let value, let reason): "\(name)=\(value): \(reason)"
    case .unfit(let path, let reason): "\(path): \(reason)"
    case .emptyPrompt(let prompt):
      "\(prompt) is empty; give some text, or token ids with \(.tokenIds)"
    case .badPrompt(let prompt, let reason): "\(prompt): \(reason)"
    case .noTokenizer(let path):
      "\(path) has no tokenizer.json; put it there, or give token ids (\(.tokenIds), \(.encoderTokenIds)) in "
        + "place of text"
    case .badTokenizer(let reason): "\(reason) (\(.tokenIds))"
    case .outputNotEmpty(let path):
      "\(path) exists, is not empty, and is not a run folder; choose another folder with \(.output), or remove it"
    case .otherRun(let path, let reason):
      "\(path) holds another run: \(reason); choose another folder with \(.output), or repeat that run's "
        + "command to resume it"
    case .notTogether(let path, let reason):
      "\(path): cannot be joined with the others: \(reason)"
    case .inUse(let path):
      "\(path) is being written by another process; wait for it, or choose another folder with \(.output)"
    case .cannotWrite(let path, let reason):
      "\(path): cannot be written (\(reason)); make room there, or choose another folder with \(.output) (in "
        + "the same folder, finished work is reused)"
    case .cannotRead(let path, let reason):
      "\(path): cannot be read (\(reason)); finished work is kept: fix this, then repeat the command, "
        + "which resumes from there"
    case .lostUnit(let path, let unit):
      "\(path): \(unit) disappeared or changed during the run; the rest is kept: repeat the command, "
        + "which computes it again, and let nothing else write there"
    case .notVisible(let path, let unit):
      "\(path): \(unit) was written by another process but does not appear here; put the folder on a file system "
        + "that all machines share, then repeat the command, which resumes from what is finished"
    case .otherProcess(let number, let reason):
      "process \(number) was started with something else: \(reason); give all processes the same command and files"
    case .allFailed(let failures):
      "\(failures.map { "\($0)" }.joined(separator: "\n"))"
    case .badRun(let path, let reason):
      "\(path): is not a readable run (\(reason)); name a folder that krylens align has written"
    case .badTable(let path, let line, let reason): "\(path), line \(line): \(reason)"
    case .tooFewScored(let count, let needed, let path):
      "\(count) of the \(needed) models that a correlation needs have both a number and a score; add runs, or "
        + "give runs the names in \(path) (\(.name) of a run)"
    case .checkpointsFailed(let count, let total, let path):
      "\(count) of \(total) checkpoints failed (see \(path)); the others are finished, and the same command "
        + "tries the failed ones again"
    case .interrupted(nil): "interrupted; nothing was finished, so nothing is kept"
    case .interrupted(let path?):
      "interrupted; what was finished is kept in \(path): the same command with \(.output) \(path) resumes the run"
    }
  }
}
