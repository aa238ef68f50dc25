import Analysis
import ArgumentParser
import Lanczos

/// Eigenvalues of blocks or of a span, how far they are from normal, exponents along a token's path.
struct EigenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "eigen",
    abstract:
      "Dominant eigenvalues of blocks (I + J), their departure from normality, exponents over depth."
  )

  @OptionGroup var model: ModelOptions
  @OptionGroup var prompts: PromptOptions

  @Option(
    help: ArgumentHelp(
      "Blocks, counted from 1, each by itself: 1-30 or 1,5,9 (default: all).", valueName: "list"))
  var layers: LayerList?

  @Option(
    help: ArgumentHelp(
      "One operator through several blocks: the boundary it begins at, 0 before the first block (default: one before --to-layer).",
      valueName: "boundary"))
  var fromLayer: Int?

  @Option(
    help: ArgumentHelp(
      "The boundary it ends at (default: one behind --from-layer).", valueName: "boundary"))
  var toLayer: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The token whose state is input and output: last, or an index from 0, negative from the end; of a span also a list, or all (default: last).",
      valueName: "token"))
  var fromToken: TokenList?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The same; eigenvalues need both alike.", valueName: "token"))
  var toToken: TokenList?

  @Option(help: ArgumentHelp("Eigenvalues of each operator.", valueName: "k"))
  var top = 10

  @Flag(help: "Lyapunov exponents of the token's path through all blocks too.")
  var exponents = false

  @Option(help: "What finds the eigenvalues; dense builds the operator.")
  var solver = EigensolverKind.auto

  @Option(help: ArgumentHelp("Residual norms are held to t · |λ₁|.", valueName: "t"))
  var tolerance = 1e-5

  @Option(help: ArgumentHelp("Of start vectors, probes and random weights.", valueName: "n"))
  var seed: UInt64 = 0

  @OptionGroup var execution: ExecutionOptions

  @OptionGroup var output: OutputOptions

  func validate() throws {
    if top < 1 { throw ValidationError("--top \(top): must be from 1 to the operator's order") }
    if layers != nil, fromLayer != nil || toLayer != nil {
      throw ValidationError(
        "--layers and \(fromLayer != nil ? "--from-layer" : "--to-layer") exclude each other: blocks one by one, or one operator "
          + "through several; give one of them")
    }
    if let fromToken, let toToken, fromToken != toToken {
      throw ValidationError(
        "--from-token and --to-token differ, and eigenvalues are of maps from a space to itself; give one, or use krylens triplets"
      )
    }
  }

  func run() throws {
    try withExitStatus {
      var settings = EigenSettings(execution.settings(for: model, prompts, seed: seed))
      settings.numeric.layers = layers?.values
      (settings.numeric.fromLayer, settings.numeric.toLayer) = (fromLayer, toLayer)
      settings.numeric.tokens = fromToken ?? toToken ?? .last
      settings.numeric.top = top
      settings.numeric.solver = solver
      settings.numeric.tolerance = tolerance
      settings.numeric.exponents = exponents
      let path = output.path(for: settings.common.name)
      settings.common.output = path
      let record = try output.record(in: path) {
        try EigenRun(settings, prompts: try prompts.inputs(quiet: output.quiet))
      }
      if !output.quiet { try StandardOutput.print(EigenTable(record, folder: path).text) }
      guard record.failures.isEmpty else {
        throw FailedPrompts(failures: record.failures, count: record.prompts.count)
      }
    }
  }
}
