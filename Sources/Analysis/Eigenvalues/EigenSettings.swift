import Lanczos
import Model

/// All settings of `krylens eigen` in effect. In `result.json` they are side by side.
public struct EigenSettings: Codable, Sendable, Equatable {
  /// The settings that all commands on a model share.
  public var common: ModelSettings
  /// The settings that determine the numbers.
  public var numeric: Numeric

  /// The settings that determine the numbers, besides the model and the prompts.
  public struct Numeric: Codable, Sendable, Equatable {
    /// Blocks, counted from 1, one operator each; nil for all, unless a span is given.
    @Nullable public var layers: [Int]?
    /// The boundary where a span begins, from 0; nil if there is none.
    @Nullable public var fromLayer: Int?
    /// The boundary where the span ends.
    @Nullable public var toLayer: Int?
    /// The tokens whose states are both input and output.
    public var tokens = TokenList.last
    /// The number of eigenvalues per operator, K.
    public var top = 10
    /// The eigensolver.
    public var solver = EigensolverKind.auto
    /// Residual norms must not exceed tolerance · |λ₁|.
    public var tolerance = 1e-5
    /// Whether exponents along the token's path are also found.
    public var exponents = false

    /// The default settings.
    public init() {}
  }

  /// The default settings with the given common ones.
  public init(_ common: ModelSettings) { (self.common, numeric) = (common, Numeric()) }

  /// Reads what `encode(to:)` writes.
  public init(from decoder: any Decoder) throws {
    common = try ModelSettings(from: decoder)
    numeric = try Numeric(from: decoder)
  }

  /// Writes one object with the members of both parts.
  public func encode(to encoder: any Encoder) throws {
    try common.encode(to: encoder)
    try numeric.encode(to: encoder)
  }

  /// Whether one operator through several blocks is requested.
  var isSpan: Bool { numeric.fromLayer != nil || numeric.toLayer != nil }

  /// The span's map as requested: from its tokens to themselves, without the identity.
  private var selection: MapSelection {
    var selection = MapSelection()
    selection.fromLayer = numeric.fromLayer
    selection.toLayer = numeric.toLayer.map(MapEnd.layer)
    (selection.fromToken, selection.toToken) = (numeric.tokens, numeric.tokens)
    return selection
  }

  /// The residual map of the span in a model with this many blocks. Throws `RunError.badSetting`.
  func span(in layers: Int) throws(RunError) -> JacobianMap { try selection.map(in: layers) }

  /// Throws `RunError.badSetting` for settings that do not fit the model or prompts of these lengths.
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
            "names \(count) tokens of \(label), but a block's eigenvalues belong to one token: give one, or "
            + "\(.fromLayer) or \(.toLayer) for the map of several tokens")
      }
      guard count == 1 || !n.exponents else {
        throw .badSetting(
          .exponents,
          reason: "follow one token's path, but \(.fromToken) names \(count) tokens: give one")
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
