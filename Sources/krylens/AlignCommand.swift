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

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The run folder: new, empty, or that of the same run, which is then resumed (default: krylens-runs/NAME-TIME).",
      valueName: "dir"))
  var output: String?

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  func run() throws {
    try withExitStatus {
      let settings = options.settings(
        for: model.path, step: model.trainingStep(isTrained: !options.randomInit))
      let path = output ?? Self.defaultOutput(settings.name)
      let result = try Self.run(settings, try options.inputs(), into: path, quiet: quiet)
      if !quiet {
        print(
          result == nil
            ? "\(path) holds the whole of this run already; nothing was done"
            : try AlignmentTable(RecordFile(path), folder: path).text)
      }
      try failures(result?.failures ?? [])
    }
  }

  /// One run into a folder, where it goes on from what is finished there; nil if the folder holds the whole of it already.
  /// The record's prompts are condensed to what the statistics read.
  static func run(
    _ settings: RunSettings, _ inputs: [PromptInput], into path: String, quiet: Bool
  ) throws -> RunRecord? {
    let meter = MemoryMeter()
    let progress = ProgressBar(isShown: !quiet)
    defer { progress.finish() }
    var settings = settings
    settings.output = path
    let run = try AlignmentRun(settings, prompts: inputs)
    let folder = try RunFolder(path, for: try run.manifest())
    guard !folder.isComplete else { return nil }
    do {
      if let limit = settings.maxMemory { try run.predicted().requireWithin(limit) }
      if folder.keepsWork, !quiet { note("going on from what is finished in \(path)") }
      return try folder.finish(try run.run(in: folder, progress: progress, meter: meter))
    } catch {
      folder.abandon()
      throw error
    }
  }

  /// Ends the command with status 1 if prompts have failed, and says which.
  private func failures(_ failures: [PromptFailure]) throws {
    guard !failures.isEmpty else { return }
    for failure in failures { Self.note("\(failure)") }
    throw ExitCode(1)
  }

  /// A line on standard error.
  static func note(_ text: String) {
    FileHandle.standardError.write(Data("\(text)\n".utf8))
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
