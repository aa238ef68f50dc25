import Analysis
import ArgumentParser
import Foundation
import Processes

/// Finds the top singular triplets of any map between tokens and boundaries and writes a run folder.
struct TripletsCommand: ExecutingCommand {
  static let configuration = CommandConfiguration(
    commandName: "triplets",
    abstract:
      "Find singular triplets of any map: over many blocks or tokens, or to the logits.",
    discussion: """
      The map goes from the states of some tokens at one boundary between blocks to the states of some tokens at a later \
      boundary, after the final norm, or to the logits; the inputs of all other tokens are held constant. The default is \
      the last block's residual Jacobian at the last token.
      """)

  @OptionGroup var model: ModelOptions
  @OptionGroup var execution: ExecutionOptions
  @OptionGroup var prompts: PromptOptions
  @OptionGroup var map: MapOptions
  @OptionGroup var solution: SolverOptions

  @Option(
    help: ArgumentHelp(
      "Number of singular triplets per map (default: 10, or all of a smaller map).",
      valueName: "k"))
  var top: Int?

  @Option(
    help: ArgumentHelp(
      "Read each singular vector out as the n tokens it favours most and least.", valueName: "n"))
  var readOut: Int?

  @OptionGroup var processes: ProcessOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let top, top < 1 { throw ValidationError("--top \(top): must be 1 or more") }
    if let readOut, readOut < 1 {
      throw ValidationError("--read-out \(readOut): must be 1 or more")
    }
  }

  func run(as processes: RunProcesses) throws {
    let isQuiet = output.quiet || !processes.isLeader
    var settings = try settings()
    let path = output.path(for: settings.name)
    settings.output = path
    let record = try output.record(in: path, as: processes) {
      try MapRun(
        settings, prompts: try prompts.inputs(quiet: isQuiet), team: processes.team)
    }
    guard let record else { return }
    if !isQuiet {
      try StandardOutput.print(
        "\(MapTable(record, folder: path).text)\n\(AlignCommand.nextStep(path))")
    }
    guard record.failures.isEmpty else {
      throw FailedPrompts(failures: record.failures, count: record.prompts.count)
    }
  }

  private func settings() throws -> MapSettings {
    var s = MapSettings(try execution.settings(for: model, prompts, seed: solution.seed))
    s.map = map.selection
    s.solution.top = top
    s.solution.solver = solution.solver
    s.solution.blockSize = solution.blockSize
    s.solution.tolerance = solution.tolerance
    s.solution.precision = solution.precision
    s.solution.certify = solution.certify
    s.readOut = readOut
    return s
  }
}
