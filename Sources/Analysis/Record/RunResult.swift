import Alignment

/// What a run leaves, read prompt by prompt from where it is kept: all of it need never be in memory.
public struct RunResult {
  let assembly: RunAssembly
  let seconds: RunRecord.Seconds
  let meter: MemoryMeter?

  /// What was found on each prompt, one after another, as far as it is known.
  public func forEachPrompt(_ body: (PromptResult) throws -> Void) throws {
    try assembly.forEachResult { if $0.isBegun { try body($0) } }
  }

  /// How many prompts it has, with those that failed.
  public var count: Int { assembly.count }

  /// Why prompts failed, of those that did.
  public var failures: [PromptFailure] {
    get throws { try assembly.failures() }
  }

  /// The whole record, in memory; for a few prompts.
  public var record: RunRecord {
    get throws {
      var prompts: [PromptRecord] = []
      var isComplete = true
      try assembly.forEachResult { result in
        isComplete = isComplete && result.isComplete
        if result.isBegun { prompts.append(try result.record()) }
      }
      return record(isComplete: isComplete, prompts: prompts)
    }
  }

  /// The record of these prompts, and the memory taken so far.
  func record(isComplete: Bool, prompts: [PromptRecord]) -> RunRecord {
    let manifest = assembly.manifest
    meter?.sample()
    return RunRecord(
      krylens: manifest.krylens, complete: isComplete, model: manifest.model,
      settings: manifest.settings, promptList: manifest.promptList, prompts: prompts,
      statistics: StudyStatistics(prompts, diagonal: manifest.settings.diagonal), seconds: seconds,
      residualsAgainst: manifest.settings.precision.residualsAgainst,
      computedWith: manifest.computedWith, peakMemoryBytes: meter?.peakResidentBytes ?? 0,
      peakPrivateBytes: meter?.peakPrivateBytes ?? 0)
  }
}
