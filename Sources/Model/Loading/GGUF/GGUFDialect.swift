import Files
import Autodiff

/// The mapping from the GGUF files of one architecture, as llama.cpp writes them, to the keys and names of a
/// config.json.
///
/// Keys and tensor names are translated, and values that a file leaves to its architecture are filled in, so that a
/// family reads both formats with the same code; it distinguishes them only where numbers are stored in another
/// order.
public struct GGUFDialect: Sendable {
  /// `general.architecture`.
  public var architecture: String
  /// The names of tensors in the file, by their canonical names, as in `WeightReader`.
  public var names: [String: String]
  /// The key of the norms' ε.
  public var epsilon: String
  /// The file's keys for keys of this family, beyond those that all share; the first one present counts.
  public var keys: [String: [String]]
  /// Keys that a file must have, since the defaults of a config.json do not apply to it.
  public var required: [String]
  /// The order of the rows of q and k: which features rotate together.
  public var pairing: RotaryPairing
  /// Whether the size of a head's values may differ from that of its keys.
  public var hasOwnValueLength: Bool
  /// Whether a file of this architecture belongs to this family, if several families share the architecture.
  public var claims: @Sendable (GGUFMetadata) -> Bool
  /// The values that follow from tensors and sizes, or from the architecture alone, by key of config.json, or by key
  /// of the file to mark that as understood.
  public var settings: @Sendable (GGUFMetadata) -> [String: JSONValue]

  /// Creates a dialect from its properties.
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

  /// The keys that files of most families must have.
  public static let essential = [
    "block_count", "context_length", "embedding_length", "feed_forward_length",
    "attention.head_count",
  ]

  /// Keys of config.json that several families share, with the corresponding keys of GGUF.
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

  /// The keys of windows that only some blocks have, for a family whose settings use `GGUFMetadata.layerKinds`.
  static let windowKeys: [String: [String]] = [
    "sliding_window": ["attention.sliding_window"],
    "layer_types": ["attention.sliding_window_pattern"],
    "rope_local_base_freq": ["rope.freq_base_swa"],
  ]

  /// Keys for which 0 means none.
  static let zeroIsNone: Set = [
    "attention.sliding_window", "attention.clamp_kqv", "expert_count",
  ]
}
