import Files
import Autodiff

/// How GGUF files of one architecture, as llama.cpp writes them, say what a family reads in the words of a config.json.
///
/// Keys and names of tensors are translated, and what a file leaves to its architecture is filled in, so that a family
/// reads both formats by the same lines; it asks for the format only where the numbers lie in another order.
public struct GGUFDialect: Sendable {
  /// `general.architecture`.
  public var architecture: String
  /// What tensors are called in the file, by their canonical names, as `WeightReader` has it.
  public var names: [String: String]
  /// The key of the norms' ε.
  public var epsilon: String
  /// Where keys of this family stand, beside those all have; the first that is there counts.
  public var keys: [String: [String]]
  /// Keys without which there is no model: the defaults of a config.json are not those of a file.
  public var required: [String]
  /// How the rows of q and k lie: which features rotate together.
  public var pairing: RotaryPairing
  /// Whether the size of a head's values may differ from that of its keys.
  public var hasOwnValueLength: Bool
  /// Whether a file of this architecture is of this family, where families share it.
  public var claims: @Sendable (GGUFMetadata) -> Bool
  /// What follows from the tensors and sizes, or from the architecture alone, by key of config.json or, to say that it was
  /// understood, by key of the file.
  public var settings: @Sendable (GGUFMetadata) -> [String: JSONValue]

  /// A dialect; its arguments are its properties.
  public init(
    architecture: String, names: [String: String],
    epsilon: String = "attention.layer_norm_epsilon", keys: [String: [String]] = [:],
    required: [String] = essential,
    pairing: RotaryPairing = .split, hasOwnValueLength: Bool = false,
    claims: @escaping @Sendable (GGUFMetadata) -> Bool = { _ in true },
    settings: @escaping @Sendable (GGUFMetadata) -> [String: JSONValue] = { _ in [:] }
  ) {
    self.architecture = architecture
    self.names = names
    self.epsilon = epsilon
    self.keys = keys
    self.required = required
    self.pairing = pairing
    self.hasOwnValueLength = hasOwnValueLength
    self.claims = claims
    self.settings = settings
  }

  /// Keys without which there is no model of most families.
  public static let essential = [
    "block_count", "context_length", "embedding_length", "feed_forward_length",
    "attention.head_count",
  ]

  /// Keys of config.json that more than one family has, and where GGUF has them.
  static let commonKeys: [String: [String]] = [
    "num_hidden_layers": ["block_count"], "hidden_size": ["embedding_length"],
    "num_attention_heads": ["attention.head_count"],
    "num_key_value_heads": ["attention.head_count_kv", "attention.head_count"],
    "head_dim": ["attention.key_length"], "intermediate_size": ["feed_forward_length"],
    "n_inner": ["feed_forward_length"], "ffn_hidden_size": ["feed_forward_length"],
    "max_position_embeddings": ["context_length"], "rope_theta": ["rope.freq_base"],
    "rope_scaling": ["rope.scaling"],
    "original_max_position_embeddings": ["rope.scaling.original_context_length"],
  ]

  /// The keys of windows that not all blocks have, for a family whose settings take `GGUFMetadata.layerKinds`.
  static let windowKeys: [String: [String]] = [
    "sliding_window": ["attention.sliding_window"],
    "layer_types": ["attention.sliding_window_pattern"],
    "rope_local_base_freq": ["rope.freq_base_swa"],
  ]

  /// Of these, 0 is how files say that there is none.
  static let zeroIsNone: Set = [
    "attention.sliding_window", "attention.clamp_kqv", "expert_count",
  ]
}
