import Files
import Checkpoint

/// An error in a model's description or in a request to the model. Each message says what to do.
public enum ModelError: Error, Equatable, Sendable, CustomStringConvertible {
  /// No family has this architecture.
  case unknownArchitecture(file: String, name: String, known: [String])
  /// A key of the configuration is missing, has the wrong type, or is out of range.
  case badKey(file: String, key: String, reason: String)
  /// A key asks for mathematics that this family does not support; ignoring it would compute another model.
  case unsupportedKey(file: String, key: String, value: String, reason: String)
  /// A block has a tensor that the configuration does not mention; leaving it out would compute another model.
  case unreadTensor(file: String, tensor: String)
  /// A token id is outside the vocabulary.
  case tokenOutOfRange(id: Int, vocabulary: Int)
  /// The input is of another kind than the family reads, or an image has the wrong size.
  case wrongInput(given: String, needed: String)
  /// The prompt has no tokens.
  case emptyPrompt
  /// The prompt has more tokens than the model has positions.
  case promptTooLong(tokens: Int, limit: Int)
  /// A stored weight is NaN or infinite.
  case weightNotFinite(file: String, tensor: String)
  /// A hidden state is not finite although all weights are.
  case stateNotFinite(layer: Int)
  /// A block cannot be divided among the processes of a team.
  case notDivisible(family: String, layer: Int)

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
      "\(file): tensor \(quoted(tensor)) is not part of the model that the configuration "
        + "describes, and ignoring it would compute another model; "
        + "check that configuration and weights belong together"
    case .tokenOutOfRange(let id, let vocabulary):
      "token id \(id) is out of range; the vocabulary has the ids 0 to \(vocabulary - 1): "
        + "check that the ids, or the tokenizer, belong to this model"
    case .wrongInput(let given, let needed):
      "the model was given \(given); give it \(needed)"
    case .emptyPrompt:
      "the prompt has no tokens; give some text or token ids"
    case .promptTooLong(let tokens, let limit):
      "the prompt has \(tokens) tokens, but the model has only \(limit) positions; shorten it"
    case .weightNotFinite(let file, let tensor):
      "\(file): tensor \(quoted(tensor)) holds NaN or infinity; its training diverged or the copy "
        + "is damaged: use another checkpoint, or download this one again"
    case .stateNotFinite(let layer):
      "the hidden state after block \(layer) is not finite although its weights are; "
        + "the model overflows single precision on this prompt"
    case .notDivisible(let family, let layer):
      "block \(layer + 1) of this \(family) model cannot be divided among processes: only soft-max attention with its "
        + "own keys and values, MLPs and mixtures of experts can; let every process hold whole blocks"
    }
  }
}
