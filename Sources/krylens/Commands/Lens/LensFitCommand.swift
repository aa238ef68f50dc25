import Analysis
import ArgumentParser

/// Fits averaged Jacobians; a folder.
struct LensFitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fit",
    abstract: "Fits the part of rank R of every averaged Jacobian, all layers together.")

  @OptionGroup var model: ModelOptions
  @OptionGroup var execution: ExecutionOptions
  @OptionGroup var prompts: PromptOptions

  @Option(
    help: ArgumentHelp(
      "Boundaries the Jacobians begin at, from 0, which enters the first block: 0-29 or 1,5,9 (default: all before the last).",
      valueName: "list"))
  var layers: LayerList?

  @Option(
    help: ArgumentHelp("Leave out the first n source positions of every prompt.", valueName: "n"))
  var skip = 0

  @Option(
    help: ArgumentHelp(
      "Triplets of each Jacobian that are kept (default: 64, or the width).", valueName: "r"))
  var rank: Int?

  @Flag(help: "Build the Jacobians whole.")
  var dense = false

  @Option(help: ArgumentHelp("Samples of the ranges beyond r.", valueName: "n"))
  var oversampling = LensFitSettings().oversampling

  @Option(help: ArgumentHelp("Directions in which the error is measured.", valueName: "n"))
  var probes = LensFitSettings().probes

  @Option(
    help: ArgumentHelp(
      "Prompts the ranges are sampled on (default: a fifth of them).", valueName: "n"))
  var rangePrompts: Int?

  @Option(
    help: ArgumentHelp(
      "One part of the prompts, 2/8 for the second of eight; krylens lens merge joins them.",
      valueName: "part"))
  var shard: Shard?

  @Option(help: ArgumentHelp("Of samples, probes and random weights.", valueName: "n"))
  var seed: UInt64 = 0

  @OptionGroup var output: OutputOptions

  func run() throws {
    try withExitStatus {
      let common = execution.settings(for: model, prompts, seed: seed)
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
      let record = try output.record(in: path) {
        try LensRun(settings, prompts: try prompts.inputs(quiet: output.quiet))
      }
      guard !output.quiet else { return }
      try StandardOutput.print(
        LensTable.fitted(record, folder: path).joined(separator: "\n"))
    }
  }
}
