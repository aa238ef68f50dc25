import Analysis
import ArgumentParser
import Lanczos
import Model

extension MapEnd: ExpressibleByArgument {
  /// As `init(_:)`.
  public init?(argument: String) { self.init(argument) }
}

extension JacobianMap.Reduction: ExpressibleByArgument {}
extension JacobianMap.Path: ExpressibleByArgument {}
extension LinearizationKind: ExpressibleByArgument {}
extension IdentityMode: ExpressibleByArgument {}

/// The options that say which map between tokens and boundaries is meant.
struct MapOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The boundary the map begins at: 0 enters block 1, L leaves the last (default: the one before its end).",
      valueName: "boundary"))
  var fromLayer: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The boundary it ends at; final, after the final norm; or logits (default: the one after its beginning, or L).",
      valueName: "boundary"))
  var toLayer: MapEnd?

  @Option(
    help: ArgumentHelp(
      "The difference of the logits of two token ids, A less B.", valueName: "a,b"))
  var logits: IntegerList?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Input tokens: last, all, or indices from 0, negative from the end: 2,5,-1.",
      valueName: "tokens"))
  var fromToken = TokenList.last

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Output tokens, likewise.", valueName: "tokens"))
  var toToken = TokenList.last

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Tokens at the beginning that all leaves out, such as attention sinks.", valueName: "n"))
  var skip = 0

  @Flag(help: "One input for all input tokens: the map is the sum over them.")
  var tied = false

  @Option(help: "What becomes of several output tokens.")
  var reduce = JacobianMap.Reduction.none

  @Option(help: "Which part of a single block.")
  var site = JacobianSite.block

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Attention through one head, from 0.", valueName: "n"))
  var head: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The MLP through one expert, from 0.", valueName: "n"))
  var expert: Int?

  @Option(help: "What is held constant besides other tokens.")
  var linearization = LinearizationKind.full

  @Option(
    help: "The way through several blocks: through all tokens, or along each token's own path.")
  var path = JacobianMap.Path.all

  @Option(
    help: "The identity in a map from tokens to the same tokens between two boundaries.")
  var identity = IdentityMode.subtract

  @Flag(help: "One map, the mean over all prompts.")
  var average = false

  /// The selection these options mean.
  var selection: MapSelection {
    var s = MapSelection()
    s.fromLayer = fromLayer
    s.toLayer = toLayer ?? (logits == nil ? nil : .logits)
    s.logits = logits?.values
    s.fromToken = fromToken
    s.toToken = toToken
    s.skip = skip
    s.tied = tied
    s.reduce = reduce
    s.site = site
    s.head = head
    s.expert = expert
    s.linearization = linearization
    s.path = path
    s.identity = identity
    s.average = average
    return s
  }
}
