import Files
import Checkpoint

/// What can be wrong with a model's description or with what is asked of it. Each says what to do.
public enum ModelError: Error, Equatable, Sendable, CustomStringConvertible {
  /// No family here has this architecture.
  case unknownArchitecture(file: String, name: String, known: [String])
  /// A key of the configuration is missing, of the wrong kind, or out of its bounds.
  case badKey(file: String, key: String, reason: String)
  /// A key asks for mathematics this family does not have here; going on would compute something else.
  case unsupportedKey(file: String, key: String, value: String, reason: String)
  /// A tensor of a block that the configuration does not speak of; leaving it out would compute something else.
  case unreadTensor(file: String, tensor: String)
  /// A token id the vocabulary does not have.
  case tokenOutOfRange(id: Int, vocabulary: Int)
  /// Another kind of input than the family reads, or an image of another size.
  case wrongInput(given: String, needed: String)
  /// No tokens at all.
  case emptyPrompt
  /// More tokens than the model has positions for.
  case promptTooLong(tokens: Int, limit: Int)
  /// A stored weight is NaN or infinite.
  case weightNotFinite(file: String, tensor: String)
  /// All weights are finite and the hidden state is not.
  case stateNotFinite(layer: Int)

  /// What is wrong, where, and what to do.
  public var description: String {
    switch self {
    case .unknownArchitecture(let file, let name, let known):
      "\(file): the architecture \(quoted(name)) is not known; supported are "
        + known.joined(separator: ", ")
    case .badKey(let file, let key, let reason):
      "\(file): \(quoted(key)) \(reason); fix the configuration"
    case .unsupportedKey(let file, let key, let value, let reason):
      "\(file): \(quoted(key)) = \(escaped(value, limit: 80)) is not supported (\(reason)), and ignoring it would compute "
        + "another model"
    case .unreadTensor(let file, let tensor):
      "\(file): tensor \(quoted(tensor)) has no part in the model the configuration describes, and "
        + "ignoring it would compute another; check that configuration and weights belong together"
    case .tokenOutOfRange(let id, let vocabulary):
      "token id \(id) is out of range; the vocabulary has the ids 0 to \(vocabulary - 1): "
        + "check that the ids, or the tokenizer, belong to this model"
    case .wrongInput(let given, let needed):
      "the model was given \(given); give it \(needed)"
    case .emptyPrompt:
      "the prompt has no tokens; give some text or token ids"
    case .promptTooLong(let tokens, let limit):
      "the prompt has \(tokens) tokens and the model \(limit) positions; shorten it"
    case .weightNotFinite(let file, let tensor):
      "\(file): tensor \(quoted(tensor)) holds NaN or infinity; its training diverged or the copy "
        + "is damaged: use another checkpoint, or download this one again"
    case .stateNotFinite(let layer):
      "the hidden state after block \(layer) is not finite although its weights are; "
        + "the model overflows single precision on this prompt"
    }
  }
}
