/// The outcome of a run of `align` in a folder.
package struct AlignmentOutcome {
  /// The record, its prompts condensed to what the statistics read; nil if the folder already held the complete run.
  package let record: RunRecord?
  /// The number of prompts requested.
  package let prompts: Int
  /// The prompts that failed.
  package let failures: [PromptFailure]

  /// Runs into a folder, resuming from what is finished there.
  ///
  /// `announces` says whether `say` also receives the notes on how prompts were read, besides those on the folder. Throws what
  /// `AlignmentRun` and `RunFolder` throw.
  package init(
    _ settings: RunSettings, _ inputs: [PromptInput], into path: String,
    progress: (any RunProgress)?, meter: MemoryMeter, announces: Bool = true,
    say: (String) -> Void = { _ in }
  ) throws {
    var settings = settings
    settings.output = path
    let run = try AlignmentRun(settings, prompts: inputs)
    if announces { run.notes.forEach(say) }
    let folder = try RunFolder(path, for: try run.manifest())
    guard !folder.isComplete else {
      let isChanged = try folder.adopt(settings.reading)
      say(
        "\(path) already holds the complete run; "
          + (isChanged ? "only how it is shown was changed" : "nothing was done"))
      let known = try StoredRun(path, .identities).record.prompts
      (record, prompts) = (nil, inputs.count)
      failures = folder.asked.compactMap { known[$0].failed }
      return
    }
    do {
      if let limit = settings.maxMemory { try run.predicted().requireWithin(limit) }
      if folder.keepsWork { say("resuming from what is finished in \(path)") }
      let record = try folder.finish(try run.run(in: folder, progress: progress, meter: meter))
      (self.record, prompts, failures) = (record, record.prompts.count, record.failures)
    } catch {
      folder.abandon()
      throw error
    }
  }
}
