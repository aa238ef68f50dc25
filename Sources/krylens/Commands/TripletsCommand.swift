import Analysis
import ArgumentParser
import Foundation

/// The top singular triplets of any map between tokens and boundaries; a run folder.
struct TripletsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "triplets",
    abstract:
      "Singular triplets of any map: several blocks, many tokens, to the logits, over prompts.",
    discussion: """
      The map goes from the states of some tokens at one boundary between blocks to those of some tokens at a later one, \
      to the final norm, or to the logits; the inputs of all other tokens are held. Without options it is the last \
      block's residual Jacobian at the last token.
      """)

  @OptionGroup var model: ModelOptions
  @OptionGroup var execution: ExecutionOptions
  @OptionGroup var prompts: PromptOptions
  @OptionGroup var map: MapOptions
  @OptionGroup var solution: SolverOptions

  @Option(
    help: ArgumentHelp(
      "Singular triplets of each map (default: 10, or all of a map that has fewer).",
      valueName: "k"))
  var top: Int?

  @Option(
    help: ArgumentHelp(
      "Read every singular vector out as the n tokens it favours most, and least.", valueName: "n"))
  var readOut: Int?

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The run folder: new, empty, or that of the same run, which is then resumed (default: krylens-runs/NAME-TIME).",
      valueName: "dir"), completion: .directory)
  var output: FilePath?

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  func validate() throws {
    if let top, top < 1 { throw ValidationError("--top \(top): must be 1 or more") }
    if let readOut, readOut < 1 {
      throw ValidationError("--read-out \(readOut): must be 1 or more")
    }
  }

  func run() throws {
    try withExitStatus {
      let settings = settings
      let path = output?.path ?? AlignCommand.defaultOutput(settings.name)
      let record = try run(settings, into: path)
      if !quiet {
        try StandardOutput.print(
          "\(MapTable(record, folder: path).text)\n\(AlignCommand.nextStep(path))")
      }
      guard record.failures.isEmpty else {
        throw FailedPrompts(failures: record.failures, count: record.prompts.count)
      }
    }
  }

  private var settings: MapSettings {
    var s = MapSettings(
      execution.settings(
        for: model.path, step: model.trainingStep(isTrained: !execution.randomInit), prompts,
        seed: solution.seed))
    s.map = map.selection
    s.solution.top = top
    s.solution.solver = solution.solver
    s.solution.tolerance = solution.tolerance
    s.readOut = readOut
    return s
  }

  /// One run into a folder, where it goes on from what is finished there.
  private func run(_ requested: MapSettings, into path: String) throws -> MapRunRecord {
    let meter = MemoryMeter()
    let progress = ProgressBar(isShown: !quiet)
    defer { progress.finish() }
    var settings = requested
    settings.output = path
    let run = try MapRun(settings, prompts: try prompts.inputs(quiet: quiet))
    if !quiet { run.notes.forEach(note) }
    let folder = try MapRun.Folder(path, for: try run.manifest())
    guard !folder.isComplete else {
      if !quiet { note("\(path) holds the whole of this run already; nothing was done") }
      return try MapRunRecord(folder: path)
    }
    do {
      if folder.keepsWork, !quiet { note("going on from what is finished in \(path)") }
      return try run.run(in: folder, progress: progress, meter: meter)
    } catch {
      folder.abandon()
      throw error
    }
  }
}
