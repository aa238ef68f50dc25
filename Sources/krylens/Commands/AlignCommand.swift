import Analysis
import ArgumentParser
import Checkpoint
import Foundation
import Model

/// Finds the triplets of every block, their coupling across depth and the trajectories, and writes a run folder.
struct AlignCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "align",
    abstract:
      "Find the top singular triplets of every block and measure how well blocks line up.")

  @OptionGroup var model: ModelOptions
  @OptionGroup var options: AlignOptions

  @OptionGroup var output: OutputOptions

  func run() throws {
    try withExitStatus {
      let settings = options.settings(
        for: model.path, step: model.trainingStep(isTrained: !options.execution.randomInit))
      let path = output.path(for: settings.name)
      let outcome = try Self.run(
        settings, try options.prompts.inputs(quiet: output.quiet), into: path,
        quiet: output.quiet)
      if !output.quiet {
        let table = try AlignmentTable(RecordFile(path), folder: path).text
        try StandardOutput.print("\(table)\n\(Self.nextStep(path))")
      }
      guard outcome.failures.isEmpty else {
        throw FailedPrompts(failures: outcome.failures, count: outcome.prompts)
      }
    }
  }

  /// The outcome of a run.
  struct Outcome {
    /// The record, its prompts condensed to what the statistics read; nil if the folder already held the complete run.
    let record: RunRecord?
    /// The number of prompts requested.
    let prompts: Int
    /// The prompts that failed.
    let failures: [PromptFailure]
  }

  /// Runs into a folder, resuming from what is finished there.
  /// `announces` says whether the notes on how prompts were read are printed.
  static func run(
    _ settings: RunSettings, _ inputs: [PromptInput], into path: String, quiet: Bool,
    announces: Bool = true
  ) throws -> Outcome {
    let meter = MemoryMeter()
    let progress = ProgressBar(isShown: !quiet)
    defer { progress.finish() }
    var settings = settings
    settings.output = path
    let run = try AlignmentRun(settings, prompts: inputs)
    if announces, !quiet { run.notes.forEach(note) }
    let folder = try RunFolder(path, for: try run.manifest())
    guard !folder.isComplete else {
      let isChanged = try folder.adopt(settings.reading)
      if !quiet {
        note(
          "\(path) already holds the complete run; "
            + (isChanged ? "only how it is shown was changed" : "nothing was done"))
      }
      let known = try StoredRun(path, .identities).record.prompts
      return Outcome(
        record: nil, prompts: inputs.count, failures: folder.asked.compactMap { known[$0].failed })
    }
    do {
      if let limit = settings.maxMemory { try run.predicted().requireWithin(limit) }
      if folder.keepsWork, !quiet { note("resuming from what is finished in \(path)") }
      let record = try folder.finish(try run.run(in: folder, progress: progress, meter: meter))
      return Outcome(record: record, prompts: record.prompts.count, failures: record.failures)
    } catch {
      folder.abandon()
      throw error
    }
  }

  /// What to run next on a run folder, its path quoted for a shell.
  static func nextStep(_ path: String) -> String {
    let plain = path.unicodeScalars.allSatisfy {
      $0.properties.isAlphabetic || $0.properties.numericType != nil
        || "/._-+=:".unicodeScalars.contains($0)
    }
    let quote = { (path: String) in
      plain ? path : "'\(path.replacing("'", with: "'\\''"))'"
    }
    let folder = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    return "krylens report \(quote(folder)) -o \(quote(folder + "-report")) draws what was written"
  }

  /// The folder of a run that was given none: `krylens-runs/NAME-20260131-120000`.
  static func defaultOutput(_ name: String) -> String {
    let format = DateFormatter()
    format.locale = Locale(identifier: "en_US_POSIX")
    format.dateFormat = "yyyyMMdd-HHmmss"
    let plain = name.map { $0.isLetter || $0.isNumber || ".-_".contains($0) ? $0 : "-" }
    return "krylens-runs/\(String(plain))-\(format.string(from: Date()))"
  }
}
