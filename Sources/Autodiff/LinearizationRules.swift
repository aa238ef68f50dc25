/// Which factors of a program are held constant when it is linearized, besides its constants.
///
/// The program's value is the same; its derivative is that of the program in which these factors do not vary. A trace
/// carries the rules, and the primitives they concern look them up: `rmsNorm`, `layerNorm`, `activated(by:)`, and whoever
/// writes a program with `asGate` and `asMixingWeight`.
public struct LinearizationRules: Hashable, Sendable {
  /// The weights by which tokens are mixed: attention's probabilities, a recurrence's queries, keys and decays.
  public var holdsMixing = false
  /// The denominators of norms. A mean that is taken out first still varies: taking it out is linear.
  public var holdsNorms = false
  /// Gates: factors that multiply another function of the same input. An activation that has no other factor is its own
  /// gate, φ(x) = x · (φ(x) / x), and φ(x) / x is held.
  public var holdsGates = false
  /// If set, tangents pass through this head of an attention alone.
  public var head: Int?
  /// If set, tangents pass through this expert of a mixture alone.
  public var expert: Int?

  /// Nothing is held.
  public init() {}
}

extension Variable {
  /// The rules of the linearization this variable is active in; those that hold nothing if it is a constant.
  public var rules: LinearizationRules { node?.trace.rules ?? LinearizationRules() }

  /// x where it multiplies another function of the same input: held constant if gates are.
  public var asGate: Variable { rules.holdsGates ? detached : self }

  /// x where it makes the weights by which tokens are mixed: held constant if those are.
  public var asMixingWeight: Variable { rules.holdsMixing ? detached : self }
}
