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

  func validate() throws { try validated { try request(for: "", step: nil).check() } }

  /// The settings these options mean for a model, and for the training step it was taken at.
  func settings(for model: String, step: Int?) throws -> RunSettings {
    try request(for: model, step: step).settings()
  }

  private func request(for model: String, step: Int?) -> RunRequest {
    var r = RunRequest(
      execution.request(for: model, step: step, prompts, seed: solution.seed))
    r.top = top
    r.ranks = ranks?.values
    r.rankShare = rankShare
    r.layers = layers?.values
    r.kind = kind
    r.tokens = tokens
    r.basisLayer = basisLayer
    (r.fromToken, r.toToken) = (fromToken, toToken)
    r.shard = shard
    r.site = site
    r.last = last
    r.solver = solution.solver
    r.blockSize = solution.blockSize
    r.tolerance = solution.tolerance
    r.precision = solution.precision
    r.certify = solution.certify
    r.sign = sign
    r.normalisation = normalisation?.value.rawValue
    r.form = form
    r.score = score
    r.diagonal = diagonal
    r.likePaper = likePaper
    r.saveHiddenStates = saveHiddenStates
    return r
  }
}
