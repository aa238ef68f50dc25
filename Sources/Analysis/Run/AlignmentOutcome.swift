import Processes

/// The outcome of a run of `align` in a folder.
package struct AlignmentOutcome {
  /// The record, its prompts condensed to what the statistics read; nil if the folder already held the complete run, and in
  /// processes other than the leader.
  package let record: RunRecord?
  /// The number of prompts requested.
  package let prompts: Int
  /// The prompts that failed.
  package let failures: [PromptFailure]

  /// Runs into a folder, resuming from what is finished there; all processes of a job make this call together.
  ///
  /// `announces` says whether `say` also receives the notes on how prompts were read, besides those on the folder. Throws what
  /// `AlignmentRun` and `RunFolder` throw.
  package init(
    _ settings: RunSettings, _ inputs: [PromptInput], into path: String,
    processes: RunProcesses = .alone, progress: (any RunProgress)?, meter: MemoryMeter,
    announces: Bool = true,
    say: (String) -> Void = { _ in }
  ) throws {
    var settings = settings
    settings.output = path
    let (run, manifest, path) = try processes.opened(into: path) {
      let run = try AlignmentRun(settings, prompts: inputs, team: processes.team)
      return (run, try run.manifest(progress: progress))
    }
    if announces { run.notes.forEach(say) }
    let folder = try RunFolder(path, for: manifest, as: processes)
    guard !folder.isComplete else {
      (record, prompts) = (nil, inputs.count)
      guard processes.isLeader else {
        failures = []
        return
      }
      let isChanged = try folder.adopt(settings.reading)
      say(
        "\(path) already holds the complete run; "
          + (isChanged ? "only how it is shown was changed" : "nothing was done"))
      let known = try StoredRun(path, .identities).record.prompts
      failures = folder.asked.compactMap { known[$0].failed }
      return
    }
    do {
      if let limit = settings.maxMemory {
        var layout = ProcessLayout(processes: processes.all.size, slices: processes.slices)
        layout.isRunning = true
        try processes.together { try run.predicted(on: layout, in: folder).requireWithin(limit) }
      }
      if folder.keepsWork { say("resuming from what is finished in \(path)") }
      let result = try run.run(
        in: folder, among: processes.sharing, progress: progress, meter: meter)
      record = try result.map { result in try run.engine.use { try folder.finish(result) } }
      (prompts, failures) = (record?.prompts.count ?? inputs.count, record?.failures ?? [])
    } catch {
      folder.abandon()
      throw error
    }
  }
}
