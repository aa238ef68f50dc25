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
      what is printed and more, one row a number.
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
    if options.randomInit {
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
      let found = try CheckpointSequence(checkpoints.map(\.path)).checkpoints
      let inputs = try options.inputs(quiet: quiet)
      let settings = found.map { options.settings(for: $0.model, step: $0.step) }
      // A damaged or another kind of model is found now, not after hours.
      for s in settings { _ = try AlignmentRun(s, prompts: inputs) }
      let folder = output?.path ?? AlignCommand.defaultOutput("emergence")
      var runs: [(step: Int, record: RunRecord)] = []
      for (i, s) in settings.enumerated() {
        let step = found[i].step
        if !quiet { note("step \(step), \(i + 1) of \(found.count): \(s.model)") }
        let path = "\(folder)/step\(step)"
        let result = try AlignCommand.run(s, inputs, into: path, quiet: quiet, announces: i == 0)
        runs.append((step, try result?.record ?? StoredRun(path).record))
      }
      let emergence = Emergence(runs)
      try write(emergence.csv, to: "\(folder)/emergence.csv")
      if !quiet {
        try StandardOutput.print(EmergenceTable(emergence, runs[0].record, folder: folder).text)
      }
    }
  }

  private func write(_ text: String, to path: String) throws {
    do {
      try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw RunError.cannotWrite(path: path, reason: error.localizedDescription)
    }
  }
}
