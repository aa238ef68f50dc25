import Alignment
import Analysis
import ArgumentParser
import Lanczos
import Model

/// The options of `align` on a model and its prompts, shared with `plan` and `emergence`.
struct AlignOptions: ParsableArguments {
  @OptionGroup var execution: ExecutionOptions
  @OptionGroup var prompts: PromptOptions

  @Option(
    help: ArgumentHelp("Number of singular triplets per Jacobian (default: 10).", valueName: "k"))
  var top: Int?

  @Option(
    help: ArgumentHelp(
      "Ranks at which coupling is computed, each at most --top: 10,30 (default: --top).",
      valueName: "list"))
  var ranks: IntegerList?

  @Option(
    help: ArgumentHelp(
      "Instead of --ranks, the rank as a share of the model's width: floor(p · width).",
      valueName: "p"))
  var rankShare: Double?

  @Option(
    help: ArgumentHelp(
      "Blocks, counted from 1: 1-30 or 1,5,9 (default: all).", valueName: "list"))
  var layers: LayerList?

  @Option(
    help: ArgumentHelp(
      "What coupling compares: all blocks at one token (depth), the tokens of each block (self), or a block's Jacobians "
        + "with a common input or output token (context-input, context-output).", valueName: "kind")
  )
  var kind = CouplingKind.depth

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The tokens that vary: last, all, or indices 0,3,-1 (default: last for depth, otherwise all).",
      valueName: "list"))
  var tokens: TokenList?

  @Option(
    help: ArgumentHelp(
      "For kinds other than depth, the block whose bases are used for all blocks (default: each block's own).",
      valueName: "block"))
  var basisLayer: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The input token: last, or an index from 0, negative from the end (default: last; 0 for context-input).",
      valueName: "token"))
  var fromToken: TokenIndex?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The output token, likewise (default: last).", valueName: "token"))
  var toToken: TokenIndex?

  @Option(
    help: ArgumentHelp(
      "Use one part of the prompts, 2/8 for the second of eight; krylens merge joins the runs.",
      valueName: "part"))
  var shard: Shard?

  @Option(help: "The part of a block that is differentiated.")
  var site = JacobianSite.block

  @Option(
    help:
      "The last block: treated like the others, dropped, or followed by the final norm (default: residual)."
  )
  var last: LastBlockMode?

  @OptionGroup var solution: SolverOptions

  @Option(help: "For the coupling shown: use entries or their magnitudes (default: signed).")
  var sign: CouplingSign?

  @Option(
    help: ArgumentHelp(
      "For the coupling shown: frobenius, trace or an exponent, p=1.5 (default: frobenius).",
      valueName: "norm"))
  var normalisation: Normalisation?

  @Option(
    help:
      "The form of coupling: same, Uⱼᵀ Jᵢ Vⱼ; crossed, Vⱼᵀ Jᵢ Uⱼ; or both, of which same is shown (default: same)."
  )
  var form: CouplingForms?

  @Option(help: "For the coupling shown: how the score is computed from the misfit.")
  var score = CouplingScore.oneMinus

  @Option(
    help: "For the mean shown: whether pairs of a block with itself count (default: excluded).")
  var diagonal: DiagonalMode?

  @Flag(
    help:
      "Use the settings of the paper's released code: absolute, both forms, normed, diagonal included, ranks 10,30,50."
  )
  var likePaper = false

  @Flag(help: "Also write the hidden states of all layers.")
  var saveHiddenStates = false

  func validate() throws {
    if let top, top < 1 {
      throw ValidationError("--top \(top): must be from 1 to the model's width")
    }
    if let rankShare, !(rankShare > 0 && rankShare <= 1) {
      throw ValidationError("--rank-share \(rankShare): must lie between 0 and 1")
    }
    try validateTokens()
    if rankShare != nil, ranks != nil {
      throw ValidationError("--ranks and --rank-share exclude each other; give one of them")
    }
  }

  /// Refuses options that name tokens but do not go together.
  private func validateTokens() throws {
    let unused: [(option: String, isGiven: Bool)] =
      switch kind {
      case .depth:
        tokens == nil ? [] : [("--from-token", fromToken != nil), ("--to-token", toToken != nil)]
      case .tokens: [("--from-token", fromToken != nil), ("--to-token", toToken != nil)]
      case .contextInput: [("--to-token", toToken != nil)]
      case .contextOutput: [("--from-token", fromToken != nil)]
      }
    if let option = unused.first(where: \.isGiven)?.option {
      throw ValidationError(
        kind == .depth
          ? "\(option) and --tokens exclude each other; give one of them"
          : "\(option) does not go with --kind \(kind.rawValue), whose tokens are those of --tokens; leave it out"
      )
    }
  }

  /// The settings these options mean for a model, and for the training step it was taken at.
  func settings(for model: String, step: Int?) -> RunSettings {
    let common = execution.settings(for: model, step: step, prompts, seed: solution.seed)
    var s = RunSettings(common)
    let paperRanks = likePaper && rankShare == nil ? [10, 30, 50] : nil
    let chosen = ranks.map { Set($0.values).sorted() } ?? paperRanks
    s.top = top ?? max(10, chosen?.max() ?? 0)
    s.ranks = chosen ?? [s.top]
    s.rankShare = rankShare
    s.layers = layers?.values
    s.kind = kind
    s.fromToken = fromToken ?? (kind == .contextInput ? .index(0) : .last)
    s.toToken = toToken ?? .last
    s.tokens = tokens ?? (kind == .depth ? .last : .all)
    s.basisLayer = basisLayer
    s.shard = shard
    s.site = site
    s.last = last ?? (likePaper ? .normed : .residual)
    s.solver = solution.solver
    s.tolerance = solution.tolerance
    s.precision = solution.precision
    s.certify = solution.certify
    s.sign = sign ?? (likePaper ? .absolute : .signed)
    s.normalisation = normalisation?.value.rawValue ?? CouplingNormalisation.frobenius.rawValue
    s.form = form ?? (likePaper ? .both : .same)
    s.score = score
    s.diagonal = diagonal ?? (likePaper ? .included : .excluded)
    s.likePaper = likePaper
    s.saveHiddenStates = saveHiddenStates
    return s
  }
}
