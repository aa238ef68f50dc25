import Lanczos
import Model

/// Every setting of `krylens eigen`, as it is in force. In `result.json` all stand side by side.
public struct EigenSettings: Codable, Sendable, Equatable {
  /// What every command on a model has.
  public var common: ModelSettings
  /// What is asked for.
  public var numeric: Numeric

  /// What decides the numbers, besides the model and the prompts.
  public struct Numeric: Codable, Sendable, Equatable {
    /// Blocks, counted from 1, one operator each; nil for all, if no span is asked for.
    @Nullable public var layers: [Int]?
    /// The boundary a span begins at, from 0; nil if none is asked for.
    @Nullable public var fromLayer: Int?
    /// The boundary it ends at.
    @Nullable public var toLayer: Int?
    /// The tokens whose states are input and output: the same ones.
    public var tokens = TokenList.last
    /// Eigenvalues of each operator, K.
    public var top = 10
    /// Which solver.
    public var solver = EigensolverKind.auto
    /// Residual norms are held to tolerance · |λ₁|.
    public var tolerance = 1e-5
    /// Whether exponents along the token's path are wanted too.
    public var exponents = false

    /// The defaults.
    public init() {}
  }

  /// The defaults, but for what every command has.
  public init(_ common: ModelSettings) { (self.common, numeric) = (common, Numeric()) }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    common = try ModelSettings(from: decoder)
    numeric = try Numeric(from: decoder)
  }

  /// One object with the members of both parts.
  public func encode(to encoder: any Encoder) throws {
    try common.encode(to: encoder)
    try numeric.encode(to: encoder)
  }

  /// Whether one operator through several blocks is asked for.
  var isSpan: Bool { numeric.fromLayer != nil || numeric.toLayer != nil }

  /// The span's map as it was asked for: from its tokens to themselves, less the identity.
  private var selection: MapSelection {
    var selection = MapSelection()
    selection.fromLayer = numeric.fromLayer
    selection.toLayer = numeric.toLayer.map(MapEnd.layer)
    (selection.fromToken, selection.toToken) = (numeric.tokens, numeric.tokens)
    return selection
  }

  /// The residual map of the span in a model of so many blocks. Throws `RunError.badSetting`.
  func span(in layers: Int) throws(RunError) -> JacobianMap { try selection.map(in: layers) }

  /// Throws `RunError.badSetting` for what does not fit the model or the prompts, of these lengths.
  func check(
    _ model: ModelDescription, lengths: [Int], labels: [PromptLabel]
  ) throws(RunError) {
    let n = numeric
    guard n.tolerance > 0, n.tolerance < 1 else {
      throw .badSetting(.tolerance, value: "\(n.tolerance)", reason: "must lie between 0 and 1")
    }
    if let bad = n.layers?.first(where: { !(1...model.layers).contains($0) }) {
      throw .badSetting(
        .layers, value: "\(bad)", reason: "the model has the blocks 1 to \(model.layers)")
    }
    var order = Int.max
    for (length, label) in zip(lengths, labels) {
      guard length > 0 else { throw .emptyPrompt(label) }
      if let missing = n.tokens.missing(in: length) {
        throw .badSetting(
          .fromToken, value: "\(missing)", reason: "\(label) has the tokens 0 to \(length - 1)")
      }
      let count = n.tokens.positions(in: length).count
      guard count == 1 || isSpan else {
        throw .badSetting(
          .fromToken,
          reason:
            "names \(count) tokens of \(label), and a block's eigenvalues are one token's: give one, or "
            + "\(.fromLayer) or \(.toLayer) for the map of several tokens")
      }
      guard count == 1 || !n.exponents else {
        throw .badSetting(
          .exponents,
          reason: "are those of one token's path, and \(.fromToken) names \(count): give one")
      }
      order = min(order, count * model.width)
      guard isSpan else { continue }
      let span = try span(in: model.layers)
      do throws(MapError) {
        _ = try ResolvedMap(span, of: model, tokens: length)
      } catch {
        throw RunError(error, selection, label)
      }
    }
    // Exponents are of single tokens' states.
    if n.exponents { order = min(order, model.width) }
    guard (1...order).contains(n.top) else {
      throw .badSetting(
        .top, value: "\(n.top)", reason: "must be from 1 to the operator's order, \(order)")
    }
  }
}
