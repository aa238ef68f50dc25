/// The initialisation of a family's tensors before training, as in the reference implementation, transformers 5.
///
/// Nearly all families have in common that matrices and embeddings are normal with mean 0 and the same deviation,
/// biases are 0, gains are 1, and the embedding of the padding token is 0.
public struct Initialisation: Sendable {
  /// The key of the deviation in config.json.
  public var key: String
  /// The deviation if the file gives none.
  public var deviation: Double
  /// Whether the head is tied to the embedding if the file does not say.
  public var isTied: Bool
  /// Whether the embedding has a row for padding.
  public var hasPadding: Bool
  /// The padding token if the file gives none.
  public var paddingToken: Int?
  /// Whether the file's own padding token is ignored.
  public var fixesPadding = false
  /// Whether learned positions have a row for the padding token as well.
  public var padsPositions = false
  /// The tensors that are initialised differently, by suffix of their canonical names without `.weight`, for a file
  /// and its deviation.
  public var exceptions: @Sendable (ModelFile, Double) throws -> [(ending: String, Initialiser)]

  /// Creates an initialisation from its properties.
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
  /// PyTorch's initialisation of a layer with this number of inputs, times a factor: uniform up to 1 / √inputs.
  static func layer(inputs: Int, times factor: Double = 1) -> Initialiser {
    .uniform(limit: factor / Double(max(inputs, 1)).squareRoot())
  }
}

/// The numbers that a tensor is filled with.
public enum Initialiser: Equatable, Sendable {
  /// The same number everywhere.
  case constant(Float)
  /// Independent normal numbers of mean 0; those outside ±`limit` are drawn again.
  case normal(deviation: Double, limit: Double = .infinity)
  /// Independent uniform numbers between −`limit` and `limit`.
  case uniform(limit: Double)
  /// Logarithms of independent uniform numbers in the range.
  case logarithms(of: ClosedRange<Double>)
  /// The logarithms of 1, 2, 3, … along the last dimension.
  case countedLogarithms
  /// Numbers whose softplus is a step: its logarithm is uniform between the logarithms of the range's bounds, and no
  /// step is below `floor`.
  case stepBiases(ClosedRange<Double>, floor: Double)
}
