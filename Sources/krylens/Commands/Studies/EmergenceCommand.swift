import Studies
import Alignment
import Analysis
import ArgumentParser
import Foundation

/// Runs `align` on every checkpoint of a training run and tabulates the results against the training step.
struct EmergenceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "emergence",
    abstract:
      "Run align on the checkpoints of a training run and show coupling, line shape and growth against the step.",
    discussion: """
      A checkpoint is a model whose name says its step: step128, step_128, checkpoint-128, global_step128, 128. Each \
      gets a run folder as by krylens align, DIR/step128; finished ones are not run again. DIR/emergence.csv has what \
      is printed and more, one row per number. If a checkpoint fails, the others are still run; DIR/failed.csv says \
      which failed and why, and the exit status is 1.
      """)

  @Argument(help: "Checkpoints, or folders of checkpoints.")
  var checkpoints: [FilePath]

  @OptionGroup var options: AlignOptions

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The folder that holds the run folders (default: krylens-runs/NAME-TIME).", valueName: "dir"),
    completion: .directory)
  var output: FilePath?

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  func validate() throws {
    if options.execution.randomInit {
      throw ValidationError(
        "--random-init: every checkpoint would have the same random weights; use it with krylens align"
      )
    }
    // The numbers are read from the records, which hold only these readings.
    if let normalisation, !CouplingNormalisation.allCases.contains(normalisation) {
      throw ValidationError(
        "--normalisation \(normalisation.rawValue): choose frobenius or trace, which every record holds"
      )
    }
    if options.score != .oneMinus {
      throw ValidationError(
        "--score \(options.score.rawValue): choose one-minus, which every record holds")
    }
  }

  private var normalisation: CouplingNormalisation? { options.normalisation?.value }

  func run() throws {
    try withExitStatus {
      let found = try CheckpointSequence(checkpoints.map(\.path))
      let inputs = try options.prompts.inputs(quiet: quiet)
      let settings = try found.checkpoints.map {
        try options.settings(for: $0.model, step: $0.step)
      }
      // A damaged model or one of another kind is found now, not after hours.
      try found.check(settings.map { try AlignmentRun($0, prompts: inputs).training })
      let folder = output?.path ?? OutputFolder.defaultPath("emergence")
      let (runs, failures) = try align(found.checkpoints, settings, inputs, into: folder)
      if let first = runs.first {
        let emergence = Emergence(runs)
        try write(emergence.csv, to: "\(folder)/emergence.csv")
        if !quiet {
          try StandardOutput.print(EmergenceTable(emergence, first.record, folder: folder).text)
        }
      }
      try report(failures, of: found.checkpoints.count, in: folder)
    }
  }

  /// A checkpoint without results, or with incomplete ones.
  private struct Failure {
    let checkpoint: CheckpointSequence.Checkpoint
    let reason: String
  }

  /// Runs every checkpoint, and reports those that failed without losing the others.
  ///
  /// Throws errors that concern all of them: a bad option, a full disk, an interrupt.
  private func align(
    _ checkpoints: [CheckpointSequence.Checkpoint], _ settings: [RunSettings],
    _ inputs: [PromptInput], into folder: String
  ) throws -> (runs: [(step: Int, record: RunRecord)], failures: [Failure]) {
    var runs: [(step: Int, record: RunRecord)] = []
    var failures: [Failure] = []
    for (i, (checkpoint, settings)) in zip(checkpoints, settings).enumerated() {
      let step = checkpoint.step
      let fail = { (reason: String) in
        note("step \(step) failed: \(reason)")
        failures.append(Failure(checkpoint: checkpoint, reason: reason))
      }
      if !quiet {
        note("step \(step), \(i + 1) of \(checkpoints.count): \(checkpoint.model)")
      }
      let path = "\(folder)/step\(step)"
      do {
        let outcome = try AlignCommand.run(
          settings, inputs, into: path, quiet: quiet, announces: i == 0)
        let record = try outcome.record ?? StoredRun(path).record
        let failed = record.prompts.compactMap(\.failed)
        if let first = failed.first {
          fail(
            "\(failed.count) of \(record.prompts.count) prompts have no results, the first of them "
              + "prompt \(first.number): \(first.reason)")
        }
        if failed.count < record.prompts.count { runs.append((step, record)) }
      } catch let error as RunError {
        switch error {
        // The message names the folder that this command was given.
        case .interrupted(let kept):
          throw RunError.interrupted(resume: kept == nil && runs.isEmpty ? nil : folder)
        case .badSetting, .unfit, .cannotWrite: throw error
        default: fail(text(of: error))
        }
      } catch {
        fail(text(of: error))
      }
    }
    return (runs, failures)
  }

  /// Writes `failed.csv` and throws if any checkpoint failed; otherwise removes the `failed.csv` of an earlier run.
  private func report(_ failures: [Failure], of count: Int, in folder: String) throws {
    let path = "\(folder)/failed.csv"
    guard !failures.isEmpty else {
      if FileManager.default.fileExists(atPath: path) {
        try? FileManager.default.removeItem(atPath: path)
      }
      return
    }
    let quoted = { (text: String) in
      "\"\(text.replacingOccurrences(of: "\"", with: "\"\""))\""
    }
    let rows = failures.map {
      "\($0.checkpoint.step),\(quoted($0.checkpoint.model)),\(quoted($0.reason))\n"
    }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try write("step,model,reason\n" + rows.joined(), to: path)
    throw RunError.checkpointsFailed(count: failures.count, total: count, path: path)
  }
}
