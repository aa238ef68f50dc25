/// How the reference implementation, transformers 5, initialises a family's tensors before they are trained.
///
/// What nearly all families have in common: matrices and embeddings are normal with mean 0 and one deviation, biases are 0,
/// gains 1, and the embedding of the padding token is 0.
struct Initialisation: Sendable {
  /// The key of config.json that the deviation stands under, and its default.
  var key = "initializer_range"
  var deviation = 0.02
  /// Whether the head is the embedding where the file does not say.
  var isTied = false
  /// Whether the embedding has a row for padding.
  var hasPadding = true
  /// Its token where the file does not say.
  var paddingToken: Int?
  /// What is initialised otherwise, by how canonical names end, `.weight` left out, from the file and the deviation.
  var exceptions: @Sendable (ModelFile, Double) throws -> [(ending: String, Initialiser)] = {
    _, _ in []
  }
}

/// What one tensor is filled with.
enum Initialiser: Equatable, Sendable {
  case constant(Float)
  /// Independent normal numbers of mean 0; those outside of ±`limit` are drawn again.
  case normal(deviation: Double, limit: Double = .infinity)
}
