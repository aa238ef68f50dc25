import Alignment
import Analysis
import ArgumentParser
import Lanczos
import Model

/// The options that say what is run on a model; `align` has them all.
struct AlignOptions: ParsableArguments {
  @OptionGroup var execution: ExecutionOptions
  @OptionGroup var prompts: PromptOptions

  @Option(help: ArgumentHelp("Singular triplets of each Jacobian (default: 10).", valueName: "k"))
  var top: Int?

  @Option(
    help: ArgumentHelp(
      "Ranks at which coupling is computed, each at most k: 10,30 (default: k).",
      valueName: "list"))
  var ranks: IntegerList?

  @Option(
    help: ArgumentHelp(
      "The rank as a share p of the model's width: floor(p · width).", valueName: "p"))
  var rankShare: Double?

  @Option(
    help: ArgumentHelp(
      "Blocks, counted from 1: 1-30 or 1,5,9 (default: all).", valueName: "list"))
  var layers: LayerList?

  @Option(
    help: ArgumentHelp(
      "What coupling compares: all blocks at a token (depth), the tokens of a block (self), or a block's Jacobians with "
        + "a common input or output token (context-input, context-output).", valueName: "kind"))
  var kind = CouplingKind.depth

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "The tokens that vary: last, all, or indices 0,3,-1 (default: last for depth, else all).",
      valueName: "list"))
  var tokens: TokenList?

  @Option(
    help: ArgumentHelp(
      "The block whose bases all others are seen in, for kinds other than depth (default: each block's own).",
      valueName: "block"))
  var basisLayer: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Input token: last, or an index from 0, negative from the end (default: last; 0 for context-input).",
      valueName: "token"))
  var fromToken: TokenIndex?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Output token, likewise (default: last).", valueName: "token"))
  var toToken: TokenIndex?

  @Option(
    help: ArgumentHelp(
      "One part of the prompts, 2/8 for the second of eight; krylens merge joins the runs.",
      valueName: "part"))
  var shard: Shard?

  @Option(help: "Which residual function of a block.")
  var site = JacobianSite.block

  @Option(
    help: "The last block: like the others, left out, or after the final norm (default: residual)."
  )
  var last: LastBlockMode?

  @OptionGroup var solution: SolverOptions

  @Option(help: "Shown coupling: entries or their magnitudes (default: signed).")
  var sign: CouplingSign?

  @Option(
    help: ArgumentHelp(
      "Shown coupling: frobenius, trace or p=1.5 (default: frobenius).", valueName: "norm"))
  var normalisation: Normalisation?

  @Option(help: "Coupling: Uⱼᵀ Jᵢ Vⱼ, crossed Vⱼᵀ Jᵢ Uⱼ, or both, the first shown (default: same).")
  var form: CouplingForms?

  @Option(help: "Shown coupling: what is made of the misfit.")
  var score = CouplingScore.oneMinus

  @Option(help: "Shown mean: the pairs of a block with itself (default: excluded).")
  var diagonal: DiagonalMode?

  @Flag(
    help:
      "As the authors' release: absolute, both forms, normed, diagonal included, ranks 10,30,50.")
  var likePaper = false

  @Flag(help: "Write the hidden states of all layers too.")
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

  /// Which of the options that name tokens go together.
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
