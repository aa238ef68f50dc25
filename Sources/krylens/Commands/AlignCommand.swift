import Analysis
import ArgumentParser
import Checkpoint
import Foundation
import Model

/// The main job: triplets of every block, coupling across depth, trajectories; a run folder.
struct AlignCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "align",
    abstract:
      "Singular triplets of every block's residual Jacobian, and how well the blocks line up.")

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

  /// What a run came to.
  struct Outcome {
    /// The record, its prompts condensed to what the statistics read; nil if the folder held the whole of it already.
    let record: RunRecord?
    /// The prompts that were asked for, and which of them failed.
    let prompts: Int
    let failures: [PromptFailure]
  }

  /// One run into a folder, where it goes on from what is finished there.
  /// `announces` says whether the user is told of what was made of prompts.
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
          "\(path) holds the whole of this run already; "
            + (isChanged ? "only what is shown of it was changed" : "nothing was done"))
      }
      let known = try StoredRun(path, .identities).record.prompts
      return Outcome(
        record: nil, prompts: inputs.count, failures: folder.asked.compactMap { known[$0].failed })
    }
    do {
      if let limit = settings.maxMemory { try run.predicted().requireWithin(limit) }
      if folder.keepsWork, !quiet { note("going on from what is finished in \(path)") }
      let record = try folder.finish(try run.run(in: folder, progress: progress, meter: meter))
      return Outcome(record: record, prompts: record.prompts.count, failures: record.failures)
    } catch {
      folder.abandon()
      throw error
    }
  }

  /// What can be done with a run folder, as a command that a shell takes.
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

  /// krylens-runs/NAME-20260131-120000
  static func defaultOutput(_ name: String) -> String {
    let format = DateFormatter()
    format.locale = Locale(identifier: "en_US_POSIX")
    format.dateFormat = "yyyyMMdd-HHmmss"
    let plain = name.map { $0.isLetter || $0.isNumber || ".-_".contains($0) ? $0 : "-" }
    return "krylens-runs/\(String(plain))-\(format.string(from: Date()))"
  }
}
