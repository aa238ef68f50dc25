import Analysis
import ArgumentParser
import Checkpoint
import Foundation
import Model
import Processes

/// Finds the triplets of every block, their coupling across depth and the trajectories, and writes a run folder.
struct AlignCommand: ExecutingCommand {
  static let configuration = CommandConfiguration(
    commandName: "align",
    abstract:
      "Find the top singular triplets of every block and measure how well blocks line up.")

  @OptionGroup var model: ModelOptions
  @OptionGroup var options: AlignOptions
  @OptionGroup var processes: ProcessOptions

  @OptionGroup var output: OutputOptions

  var execution: ExecutionOptions {
    get { options.execution }
    set { options.execution = newValue }
  }

  func run(as processes: RunProcesses) throws {
    let isQuiet = output.quiet || !processes.isLeader
    let settings = try options.settings(for: model.path, step: model.step)
    let path = output.path(for: settings.name)
    let outcome = try Self.run(
      settings, try options.prompts.inputs(quiet: isQuiet), into: path, quiet: isQuiet,
      as: processes)
    if !isQuiet {
      let table = try AlignmentTable(RecordFile(path), folder: path).text
      try StandardOutput.print("\(table)\n\(Self.nextStep(path))")
    }
    guard outcome.failures.isEmpty else {
      throw FailedPrompts(failures: outcome.failures, count: outcome.prompts)
    }
  }

  /// Runs into a folder, resuming from what is finished there.
  /// `announces` says whether the notes on how prompts were read are printed.
  static func run(
    _ settings: RunSettings, _ inputs: [PromptInput], into path: String, quiet: Bool,
    announces: Bool = true, as processes: RunProcesses = .alone
  ) throws -> AlignmentOutcome {
    let meter = MemoryMeter()
    let progress = ProgressBar(isShown: !quiet)
    defer { progress.finish() }
    return try AlignmentOutcome(
      settings, inputs, into: path, processes: processes, progress: progress, meter: meter,
      announces: announces,
      say: { if !quiet { note($0) } })
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
}
