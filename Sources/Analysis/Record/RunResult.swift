import Alignment

/// The results of a run, read prompt by prompt from where they are kept, so that not all of them are in memory.
public struct RunResult {
  let assembly: RunAssembly
  let seconds: RunRecord.Seconds
  let meter: MemoryMeter?

  /// Passes what is known so far about each prompt, one after another.
  public func forEachPrompt(_ body: (PromptResult) throws -> Void) throws {
    try assembly.forEachResult { if $0.isBegun { try body($0) } }
  }

  /// The number of prompts, including those that failed.
  public var count: Int { assembly.count }

  /// The failures of the prompts that failed.
  public var failures: [PromptFailure] {
    get throws { try assembly.failures() }
  }

  /// The whole record in memory; meant for a few prompts.
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

  /// The record of these prompts and of the memory used so far.
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
