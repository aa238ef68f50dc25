/// The definition of a derivative of a model: its input, its output, and how it is linearized.
///
/// The input is the rows of X at some tokens at one boundary between blocks; the output is rows of X at a later
/// boundary, of the final norm or of the logits; the inputs of all other tokens are held. `MapLinearization` turns it
/// into an operator.
public struct JacobianMap: Hashable, Sendable {
  /// A choice of tokens of a prompt.
  public enum Tokens: Hashable, Sendable {
    /// The last token.
    case last
    /// The listed tokens, counted from 0, or from the end if negative (−1 is the last).
    case listed([Int])
    /// All tokens except some at the beginning, where attention sinks are.
    case all(skipping: Int = 0)
  }

  /// The end of a map.
  public enum Destination: Hashable, Sendable {
    /// The boundary after this many blocks.
    case layer(Int)
    /// The states after the final norm.
    case finalNorm
    /// The logits.
    case logits
    /// The logit of the first id minus that of the second.
    case logitDifference(Int, Int)
  }

  /// How several output tokens are combined.
  public enum Reduction: String, Hashable, Sendable, CaseIterable, Codable {
    /// They are kept one after another.
    case none
    /// They are summed.
    case sum
    /// They are averaged.
    case mean
  }

  /// The part of a block that tangents pass through; the other parts are held.
  public enum Part: Hashable, Sendable {
    /// The whole block.
    case block
    /// X ↦ Z − X, where Z is the state after the attention half.
    case attention
    /// Z ↦ F − Z, token by token; at X in a parallel block.
    case mlp
    /// The attention half through one head, counted from 0; the outputs of the others are held.
    case head(Int)
    /// The MLP half through one expert, counted from 0; the outputs of the others are held.
    case expert(Int)
  }

  /// The path of a change through several blocks.
  public enum Path: String, Hashable, Sendable, CaseIterable, Codable {
    /// Through all tokens that the change reaches.
    case all
    /// Through its own token alone, with the other tokens held at every boundary: (I + J_l′)…(I + J_l).
    case own
  }

  /// The boundary where the map starts: 0 is before the first block, L after the last.
  public var fromLayer: Int
  /// Where the map ends.
  public var to: Destination
  /// The input tokens.
  public var fromTokens: Tokens
  /// The output tokens.
  public var toTokens: Tokens
  /// Whether the same input is added at every source token, so that the map is the sum over them.
  public var tiesSources = false
  /// How several output tokens are combined.
  public var reduction = Reduction.none
  /// The part of the block, for a map of a single block.
  public var part = Part.block
  /// What is held besides other tokens.
  public var linearization = LinearizationKind.full
  /// The path through several blocks.
  public var path = Path.all
  /// Whether to keep the identity in a map between two boundaries whose output tokens are its input tokens, without
  /// reduction. By default it is subtracted, so that the map of one block is the residual Jacobian.
  public var keepsIdentity = false

  /// Creates a map from these properties, with the others at their defaults.
  public init(
    fromLayer: Int, to: Destination, fromTokens: Tokens = .last, toTokens: Tokens = .last
  ) {
    (self.fromLayer, self.to) = (fromLayer, to)
    (self.fromTokens, self.toTokens) = (fromTokens, toTokens)
  }
}

/// The factors of a program that are held when it is linearized, which leaves it linear in fewer of them.
public enum LinearizationKind: String, Hashable, Sendable, CaseIterable, Codable {
  /// Nothing is held: the derivative.
  case full
  /// The weights that mix tokens are held (attention's probabilities; a recurrence's keys, queries and decays).
  case frozenAttention = "frozen-attention"
  /// The denominators of norms are held.
  case frozenNorms = "frozen-norms"
  /// Both are held, and so are gates: for a model without biases J x is then f(x) itself. Golden, arXiv 2505.24293.
  case detached
}
