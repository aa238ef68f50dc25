import Weights
import Autodiff
import LinearAlgebra

extension Activation {
  /// The activation that a configuration names. Throws `ModelError.unsupportedKey` for an unknown one.
  public init(
    _ configuration: Configuration, _ keys: String..., default fallback: String
  ) throws(ModelError) {
    let names: [String: Activation] = [
      "silu": .silu, "swish": .silu, "gelu": .gelu, "gelu_python": .gelu,
      "gelu_new": .geluTanh, "gelu_pytorch_tanh": .geluTanh, "gelu_python_tanh": .geluTanh,
      "gelu_fast": .geluTanh, "gelu_accurate": .geluTanh, "quick_gelu": .quickGELU,
      "relu": .relu, "relu2": .reluSquared, "tanh": .tanh, "sigmoid": .logistic,
    ]
    var name = fallback
    for key in keys { if let text = try configuration.optionalText(key) { name = text } }
    guard let activation = names[name] else {
      throw .unsupportedKey(
        file: configuration.file, key: keys[0], value: "\"\(name)\"",
        reason: "supported are \(names.keys.sorted().joined(separator: ", "))")
    }
    self = activation
  }
}

extension Configuration {
  /// The size of a head for families in which it is width / heads. Throws `ModelError.badKey` if that is not an
  /// integer or `head_dim` differs from it.
  public func headDimension(width: Int, heads: Int) throws(ModelError) -> Int {
    try check(
      width % heads == 0, "num_attention_heads",
      "is \(heads), which does not divide the width \(width)")
    let stated = try size("head_dim", default: width / heads)
    try check(stated == width / heads, "head_dim", "is not width / heads")
    return stated
  }

  /// The number of experts that a token chooses, at most as many as there are. Throws `ModelError.badKey`.
  public func chosenExperts(
    _ key: String = "num_experts_per_tok", of count: Int, default fallback: Int?
  ) throws(ModelError) -> Int {
    let chosen = try size(key, default: fallback)
    try check(chosen <= count, key, "is more than the number of experts, \(count)")
    return chosen
  }
}

extension StoredMatrix {
  /// The rows of these tokens as a variable (tokens, width). Throws `ModelError.tokenOutOfRange`, `emptyPrompt`.
  public func embed<S: RealScalar>(_ tokens: [Int]) throws(ModelError) -> Variable<S> {
    guard !tokens.isEmpty else { throw .emptyPrompt }
    var elements: [S] = []
    elements.reserveCapacity(tokens.count * columns)
    for token in tokens {
      guard token >= 0 && token < rows else {
        throw .tokenOutOfRange(id: token, vocabulary: rows)
      }
      elements.append(contentsOf: row(token).map { S($0) })
    }
    return Variable(Matrix(rows: tokens.count, columns: columns, elements: elements))
  }
}

/// The number that follows one of these words in a tensor's name, where the word is at the start or after a dot.
public func blockNumber(_ name: String, after words: [String]) -> Int? {
  for word in words {
    guard let range = name.range(of: word),
      range.lowerBound == name.startIndex || name[name.index(before: range.lowerBound)] == "."
    else { continue }
    return Int(name[range.upperBound...].prefix { $0.isNumber })
  }
  return nil
}
