/// Which derivative of a model is meant: from where, to where, and how it is linearized.
///
/// The rows of X at some tokens, at one boundary between blocks, are the input; rows of X at a later boundary, of the final
/// norm or of the logits are the output; all other tokens' inputs are held. `MapLinearization` makes it an operator.
public struct JacobianMap: Hashable, Sendable {
  /// Tokens of a prompt.
  public enum Tokens: Hashable, Sendable {
    /// The last one.
    case last
    /// These, counted from 0, or from the end if negative (−1 is the last).
    case listed([Int])
    /// All but some at the beginning, where attention sinks are.
    case all(skipping: Int = 0)
  }

  /// Where the map ends.
  public enum Destination: Hashable, Sendable {
    /// The boundary after this many blocks.
    case layer(Int)
    /// The states after the final norm.
    case finalNorm
    /// The logits.
    case logits
    /// The logit of the first id less that of the second.
    case logitDifference(Int, Int)
  }

  /// What becomes of several output tokens.
  public enum Reduction: String, Hashable, Sendable, CaseIterable, Codable {
    /// They follow one another.
    case none
    /// Their sum.
    case sum
    /// Their mean.
    case mean
  }

  /// Which part of a block the tangents go through; the others are held.
  public enum Part: Hashable, Sendable {
    /// All of it.
    case block
    /// X ↦ Z − X, Z the state after the attention half.
    case attention
    /// Z ↦ F − Z, token by token; at X in a parallel block.
    case mlp
    /// The attention half through one head, from 0; the results of the others are held.
    case head(Int)
    /// The MLP half through one expert, from 0; the results of the others are held.
    case expert(Int)
  }

  /// Which way a change takes through several blocks.
  public enum Path: String, Hashable, Sendable, CaseIterable, Codable {
    /// Through all tokens that it reaches.
    case all
    /// Along its own token's path alone, the other tokens held at every boundary: (I + J_l′)…(I + J_l).
    case own
  }

  /// The boundary it begins at: 0 enters the first block, L leaves the last.
  public var fromLayer: Int
  /// Where it ends.
  public var to: Destination
  /// The input tokens.
  public var fromTokens: Tokens
  /// The output tokens.
  public var toTokens: Tokens
  /// Whether one input is added at every source token: the map is the sum over them.
  public var tiesSources = false
  /// What becomes of several output tokens.
  public var reduction = Reduction.none
  /// Which part of the one block.
  public var part = Part.block
  /// What is held constant besides other tokens.
  public var linearization = LinearizationKind.full
  /// The way through several blocks.
  public var path = Path.all
  /// Whether the identity stays in a map from some tokens to the same tokens between two boundaries, with nothing reduced;
  /// otherwise it is subtracted there, so that the map of one block is the residual Jacobian.
  public var keepsIdentity = false

  /// A map; the arguments are the properties, the others as most maps have them.
  public init(
    fromLayer: Int, to: Destination, fromTokens: Tokens = .last, toTokens: Tokens = .last
  ) {
    (self.fromLayer, self.to) = (fromLayer, to)
    (self.fromTokens, self.toTokens) = (fromTokens, toTokens)
  }
}

/// How a program is linearized: which factors are held constant, so that what is left is linear in fewer ways.
public enum LinearizationKind: String, Hashable, Sendable, CaseIterable, Codable {
  /// Nothing is held: the derivative.
  case full
  /// The weights by which tokens are mixed (attention's probabilities; a recurrence's keys, queries and decays).
  case frozenAttention = "frozen-attention"
  /// The denominators of norms.
  case frozenNorms = "frozen-norms"
  /// Both, and gates: of a model without biases J x is then f(x) itself. Golden, arXiv 2505.24293.
  case detached
}
