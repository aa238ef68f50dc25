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

/// The options that define a map between tokens and boundaries.
struct MapOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The boundary where the map begins: 0 is before block 1, L after the last block (default: one before its end).",
      valueName: "boundary"))
  var fromLayer: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The boundary where it ends; or final, after the final norm; or logits (default: one after its beginning, or L).",
      valueName: "boundary"))
  var toLayer: MapEnd?

  @Option(
    help: ArgumentHelp(
      "End at the difference of the logits of two token ids, a minus b.", valueName: "a,b"))
  var logits: IntegerList?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The input tokens: last, all, or indices from 0, negative from the end: 2,5,-1.",
      valueName: "tokens"))
  var fromToken = TokenList.last

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The output tokens, likewise.", valueName: "tokens"))
  var toToken = TokenList.last

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "How many first tokens, such as attention sinks, the value all leaves out.", valueName: "n"))
  var skip = 0

  @Flag(help: "Give all input tokens the same change: the map is the sum over them.")
  var tied = false

  @Option(help: "How several output tokens are combined.")
  var reduce = JacobianMap.Reduction.none

  @Option(help: "The part of a single block that is differentiated.")
  var site = JacobianSite.block

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Attention through one head only, counted from 0.", valueName: "n"))
  var head: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The MLP through one expert only, counted from 0.", valueName: "n"))
  var expert: Int?

  @Option(help: "What is held constant besides the other tokens.")
  var linearization = LinearizationKind.full

  @Option(
    help: "The paths through several blocks: via all tokens, or along each token's own path.")
  var path = JacobianMap.Path.all

  @Option(
    help:
      "Whether the identity is part of a map between two boundaries from tokens to the same tokens."
  )
  var identity = IdentityMode.subtract

  @Flag(help: "Find the triplets of one map, the mean over all prompts.")
  var average = false

  /// The map that these options select.
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
