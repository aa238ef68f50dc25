import Analysis
import ArgumentParser
import Processes
import Lanczos

/// Finds eigenvalues of blocks or of a span, their departure from normality, and exponents along a token's path.
struct EigenCommand: ExecutingCommand {
  static let configuration = CommandConfiguration(
    commandName: "eigen",
    abstract:
      "Find dominant eigenvalues of blocks (I + J), non-normality and Lyapunov exponents."
  )

  @OptionGroup var model: ModelOptions
  @OptionGroup var prompts: PromptOptions

  @Option(
    help: ArgumentHelp(
      "Blocks, each on its own, counted from 1: 1-30 or 1,5,9 (default: all).", valueName: "list"))
  var layers: LayerList?

  @Option(
    help: ArgumentHelp(
      "For one operator through several blocks: the boundary where it begins; 0 is before the first block (default: one before --to-layer).",
      valueName: "boundary"))
  var fromLayer: Int?

  @Option(
    help: ArgumentHelp(
      "The boundary where it ends (default: one after --from-layer).", valueName: "boundary"))
  var toLayer: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The token whose state is both input and output: last, or an index from 0, negative from the end; for a span of blocks also a list, or all (default: last).",
      valueName: "token"))
  var fromToken: TokenList?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The same token or tokens: eigenvalues need both ends to be equal.", valueName: "token"))
  var toToken: TokenList?

  @Option(help: ArgumentHelp("Number of eigenvalues per operator.", valueName: "k"))
  var top = 10

  @Flag(help: "Also find the Lyapunov exponents of the token's path through all blocks.")
  var exponents = false

  @Option(help: "The eigensolver; dense forms the operator's matrix.")
  var solver = EigensolverKind.auto

  @Option(help: ArgumentHelp("Residual norms must not exceed t · |λ₁|.", valueName: "t"))
  var tolerance = 1e-5

  @Option(help: ArgumentHelp("Seed of start vectors, probes and random weights.", valueName: "n"))
  var seed: UInt64 = 0

  @OptionGroup var execution: ExecutionOptions

  @OptionGroup var processes: ProcessOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    try processes.refuseSlices("eigen")
    if top < 1 { throw ValidationError("--top \(top): must be from 1 to the operator's order") }
    if layers != nil, fromLayer != nil || toLayer != nil {
      throw ValidationError(
        "--layers and \(fromLayer != nil ? "--from-layer" : "--to-layer") exclude each other: one operator per block, or one operator "
          + "through several blocks; give one of them")
    }
    if let fromToken, let toToken, fromToken != toToken {
      throw ValidationError(
        "--from-token and --to-token differ, but only a map from a space to itself has eigenvalues; give one of them, or use krylens triplets"
      )
    }
  }

  func run(as processes: RunProcesses) throws {
    let isQuiet = output.quiet || !processes.isLeader
    var settings = EigenSettings(try execution.settings(for: model, prompts, seed: seed))
    settings.numeric.layers = layers?.values
    (settings.numeric.fromLayer, settings.numeric.toLayer) = (fromLayer, toLayer)
    settings.numeric.tokens = fromToken ?? toToken ?? .last
    settings.numeric.top = top
    settings.numeric.solver = solver
    settings.numeric.tolerance = tolerance
    settings.numeric.exponents = exponents
    let path = output.path(for: settings.common.name)
    settings.common.output = path
    let record = try output.record(in: path, as: processes) {
      try EigenRun(settings, prompts: try prompts.inputs(quiet: isQuiet))
    }
    guard let record else { return }
    if !isQuiet { try StandardOutput.print(EigenTable(record, folder: path).text) }
    guard record.failures.isEmpty else {
      throw FailedPrompts(failures: record.failures, count: record.prompts.count)
    }
  }
}
