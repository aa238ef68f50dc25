/// The factors of a program that are held constant when it is linearized, besides its constants.
///
/// The program's value is unchanged; its derivative is that of the program in which these factors do not vary. A
/// trace carries the rules, and the primitives concerned look them up: `rmsNorm`, `layerNorm`, `activated(by:)`, and
/// any program that uses `asGate` and `asMixingWeight`.
public struct LinearizationRules: Hashable, Sendable {
  /// Whether the weights that mix tokens are held: attention's probabilities, a recurrence's queries, keys and
  /// decays.
  public var holdsMixing = false
  /// Whether the denominators of norms are held. A mean that is subtracted first still varies, since subtracting it
  /// is linear.
  public var holdsNorms = false
  /// Whether gates are held: factors that multiply another function of the same input. An activation without another
  /// factor is its own gate, φ(x) = x · (φ(x) / x), and φ(x) / x is held.
  public var holdsGates = false
  /// The head of an attention that tangents pass through; nil for all.
  public var head: Int?
  /// The expert of a mixture that tangents pass through; nil for all.
  public var expert: Int?

  /// Rules that hold nothing.
  public init() {}
}

extension Variable {
  /// The rules of the linearization this variable is active in; a constant has rules that hold nothing.
  public var rules: LinearizationRules { node?.trace.rules ?? LinearizationRules() }

  /// x as a factor of another function of the same input: held constant if gates are.
  public var asGate: Variable { rules.holdsGates ? detached : self }

  /// x as a source of the weights that mix tokens: held constant if those are.
  public var asMixingWeight: Variable { rules.holdsMixing ? detached : self }
}
