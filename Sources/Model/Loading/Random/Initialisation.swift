/// How the reference implementation, transformers 5, initialises a family's tensors before they are trained.
///
/// What nearly all families have in common: matrices and embeddings are normal with mean 0 and one deviation, biases are 0,
/// gains 1, and the embedding of the padding token is 0.
public struct Initialisation: Sendable {
  /// The key of config.json that the deviation stands under.
  public var key: String
  /// The deviation where the file does not say.
  public var deviation: Double
  /// Whether the head is the embedding where the file does not say.
  public var isTied: Bool
  /// Whether the embedding has a row for padding.
  public var hasPadding: Bool
  /// Its token where the file does not say.
  public var paddingToken: Int?
  /// Whether that is the token whatever the file says.
  public var fixesPadding = false
  /// Whether learned positions have a row of the padding token as well.
  public var padsPositions = false
  /// What is initialised otherwise, by how canonical names end, `.weight` left out, from the file and the deviation.
  public var exceptions: @Sendable (ModelFile, Double) throws -> [(ending: String, Initialiser)]

  /// An initialisation; its arguments are its properties.
  public init(
    key: String = "initializer_range", deviation: Double = 0.02, isTied: Bool = false,
    hasPadding: Bool = true, paddingToken: Int? = nil, fixesPadding: Bool = false,
    padsPositions: Bool = false,
    exceptions:
      @escaping @Sendable (ModelFile, Double) throws -> [(
        ending: String, Initialiser
      )] = { _, _ in [] }
  ) {
    self.key = key
    self.deviation = deviation
    self.isTied = isTied
    self.hasPadding = hasPadding
    self.paddingToken = paddingToken
    (self.fixesPadding, self.padsPositions) = (fixesPadding, padsPositions)
    self.exceptions = exceptions
  }
}

extension Initialiser {
  /// As a layer of so many inputs begins in PyTorch, times a factor: uniformly, up to 1 / √inputs.
  static func layer(inputs: Int, times factor: Double = 1) -> Initialiser {
    .uniform(limit: factor / Double(max(inputs, 1)).squareRoot())
  }
}

/// What one tensor is filled with.
public enum Initialiser: Equatable, Sendable {
  /// One number.
  case constant(Float)
  /// Independent normal numbers of mean 0; those outside of ±`limit` are drawn again.
  case normal(deviation: Double, limit: Double = .infinity)
  /// Independent numbers, all from −`limit` to `limit` alike.
  case uniform(limit: Double)
  /// The logarithms of independent numbers, all between two alike.
  case logarithms(of: ClosedRange<Double>)
  /// Of the last side's numbers the logarithms of 1, 2, 3, …
  case countedLogarithms
  /// What softplus makes steps of: the logarithms of these lie uniformly between those of two, and none is below `floor`.
  case stepBiases(ClosedRange<Double>, floor: Double)
}
