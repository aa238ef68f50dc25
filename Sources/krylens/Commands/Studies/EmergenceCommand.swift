import Studies
import Alignment
import Analysis
import ArgumentParser
import Foundation

/// `align` on every checkpoint of a training, and what comes out against the training step.
struct EmergenceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "emergence",
    abstract: "Coupling, line shape and growth against the training step, over checkpoints.",
    discussion: """
      A checkpoint is a model whose name says its step: step128, step_128, checkpoint-128, global_step128, 128. Each \
      gets the run folder of krylens align, DIR/step128, and one that is finished is not run again; DIR/emergence.csv has \
      what is printed and more, one row per number. If one fails, the others are run all the same; DIR/failed.csv says which \
      and why, and the exit status is 1.
      """)

  @Argument(help: "Checkpoints, or folders of checkpoints.")
  var checkpoints: [FilePath]

  @OptionGroup var options: AlignOptions

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The folder of the run folders (default: krylens-runs/NAME-TIME).", valueName: "dir"),
    completion: .directory)
  var output: FilePath?

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  func validate() throws {
    if options.execution.randomInit {
      throw ValidationError(
        "--random-init: every checkpoint would have the same random weights; give it to krylens align"
      )
    }
    // Read from the records, which hold these readings and no others.
    if let normalisation, !CouplingNormalisation.allCases.contains(normalisation) {
      throw ValidationError(
        "--normalisation \(normalisation.rawValue): choose frobenius or trace, which every result holds"
      )
    }
    if options.score != .oneMinus {
      throw ValidationError(
        "--score \(options.score.rawValue): choose one-minus, which every result holds")
    }
  }

  private var normalisation: CouplingNormalisation? { options.normalisation?.value }

  func run() throws {
    try withExitStatus {
      let found = try CheckpointSequence(checkpoints.map(\.path))
      let inputs = try options.prompts.inputs(quiet: quiet)
      let settings = found.checkpoints.map { options.settings(for: $0.model, step: $0.step) }
      // A damaged or another kind of model is found now, not after hours.
      try found.check(settings.map { try AlignmentRun($0, prompts: inputs).training })
      let folder = output?.path ?? AlignCommand.defaultOutput("emergence")
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

  /// A checkpoint that has no results, or not all.
  private struct Failure {
    let checkpoint: CheckpointSequence.Checkpoint
    let reason: String
  }

  /// The runs of all checkpoints, and which of them failed: one of them is no reason to lose the others.
  ///
  /// Throws what concerns all of them: an option, the disk, the user's wish to stop.
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
        // What is named is the folder that this command was given.
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

  /// Leaves `failed.csv` where something failed, and throws then; takes away that of an earlier time where nothing did.
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
