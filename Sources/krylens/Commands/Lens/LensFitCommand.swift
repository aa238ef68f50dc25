import Analysis
import ArgumentParser
import Processes

/// Fits averaged Jacobians and writes a folder.
struct LensFitCommand: ExecutingCommand {
  static let configuration = CommandConfiguration(
    commandName: "fit",
    abstract: "Fit a rank-R approximation of every averaged Jacobian, all layers together.")

  @OptionGroup var model: ModelOptions
  @OptionGroup var execution: ExecutionOptions
  @OptionGroup var prompts: PromptOptions

  @Option(
    help: ArgumentHelp(
      "Boundaries where the Jacobians begin; 0 is before the first block: 0-29 or 1,5,9 (default: all but the last).",
      valueName: "list"))
  var layers: LayerList?

  @Option(
    help: ArgumentHelp("Leave out the first n source positions of every prompt.", valueName: "n"))
  var skip = 0

  @Option(
    help: ArgumentHelp(
      "Number of triplets kept per Jacobian (default: 64, or the width if less).", valueName: "r"))
  var rank: Int?

  @Flag(help: "Form the Jacobians in full.")
  var dense = false

  @Option(help: ArgumentHelp("Number of range samples beyond r.", valueName: "n"))
  var oversampling = LensFitSettings().oversampling

  @Option(
    help: ArgumentHelp(
      "Number of random directions in which the error is measured.", valueName: "n"))
  var probes = LensFitSettings().probes

  @Option(
    help: ArgumentHelp(
      "Number of prompts on which the ranges are sampled (default: a fifth of them).",
      valueName: "n"))
  var rangePrompts: Int?

  @Option(
    help: ArgumentHelp(
      "Use one part of the prompts, 2/8 for the second of eight; krylens lens merge joins the parts.",
      valueName: "part"))
  var shard: Shard?

  @Option(help: ArgumentHelp("Seed of samples, probes and random weights.", valueName: "n"))
  var seed: UInt64 = 0

  @OptionGroup var processes: ProcessOptions
  @OptionGroup var output: OutputOptions

  func validate() throws { try processes.refuseSlices("lens fit") }

  func run(as processes: RunProcesses) throws {
    let isQuiet = output.quiet || !processes.isLeader
    let common = try execution.settings(for: model, prompts, seed: seed)
    var settings = LensSettings(common)
    settings.layers = layers?.values
    settings.skip = skip
    settings.rank = rank
    settings.dense = dense
    settings.oversampling = oversampling
    settings.probes = probes
    settings.rangePrompts = rangePrompts
    settings.shard = shard
    let path = output.path(for: "\(common.name)-lens")
    settings.output = path
    let record = try output.record(in: path, as: processes) {
      try LensRun(settings, prompts: try prompts.inputs(quiet: isQuiet))
    }
    guard let record else { return }
    guard !isQuiet else { return }
    try StandardOutput.print(
      LensTable.fitted(record, folder: path).joined(separator: "\n"))
  }
}
