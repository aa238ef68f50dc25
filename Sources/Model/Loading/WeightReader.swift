import Files
import Weights
import Checkpoint
import LinearAlgebra

/// A reader that finds a family's tensors by their canonical names, whatever the file calls them, and checks their
/// shapes.
///
/// Canonical names are those of the Hugging Face implementation. A GGUF file has names of its own, given by a table
/// in which `#` stands for the number of the block, and a second `#` for that of an expert; `.weight` or `.bias` is
/// appended unless a name ends in `.bias` or in a dot, which is dropped. In a folder, a prefix may be missing or
/// added.
public struct WeightReader {
  /// The source of the tensors.
  public let source: any TensorSource
  private let read = NameSet()
  private let table: [String: String]?
  private let prefix: (canonical: String, stored: String)?
  /// The prefix of every name asked for.
  private var scope = ""
  /// Whether the checkpoint is of a model without a head.
  let lacksHead: Bool

  /// Heads that replace one over the vocabulary: those of classifiers and of reward models.
  private static let otherHeads = ["score.weight", "classifier.weight", "v_head.summary.weight"]
  /// Parts of the names of classes with a head over the vocabulary.
  private static let headed = [
    "CausalLM", "LMHead", "ConditionalGeneration", "MaskedLM", "PreTraining",
  ]

  /// Creates a reader of a Hugging Face folder: `prefix` is the canonical one; the first of `alternatives` under
  /// which `probe` is found replaces it. There is no head to read if `architecture`, the class of the weights if the
  /// file names it, has none; in a base model, whose names lack the prefix unless `basePrefixed`; and if there is a
  /// head of another kind.
  public init(
    _ source: any TensorSource, prefix: String, alternatives: [String], probe: String,
    basePrefixed: Bool = false, architecture: String? = nil
  ) {
    self.source = source
    table = nil
    let prefixes = [prefix] + alternatives
    let stored =
      prefixes.first { source.contains($0 + probe) }
      // A tensor is missing; the error should name it like the others.
      ?? prefixes.sorted { $0.count > $1.count }
      .first { p in source.tensors.contains { $0.name.hasPrefix(p) } }
    self.prefix = (prefix, stored ?? prefix)
    lacksHead =
      !basePrefixed && stored == "" && prefix != ""
      || Self.otherHeads.contains(where: source.contains)
      || architecture.map { name in !Self.headed.contains { name.contains($0) } } ?? false
  }

  /// Creates a reader of a GGUF file, with a table from canonical names without `.weight` or `.bias`.
  init(_ source: any TensorSource, ggufNames: [String: String]) {
    self.source = source
    table = ggufNames
    prefix = nil
    lacksHead = false
  }

  /// Whether the names are those of a GGUF file.
  var isGGUF: Bool { table != nil }

  /// The same reader with a prefix for all names, such as that of one block.
  public func scoped(_ scope: String) -> WeightReader {
    var reader = self
    reader.scope += scope
    return reader
  }

  /// The name of a tensor in the file.
  public func storedName(_ name: String) -> String {
    let canonical = scope + name
    if let prefix {
      guard canonical.hasPrefix(prefix.canonical) else { return canonical }
      return prefix.stored + canonical.dropFirst(prefix.canonical.count)
    }
    let suffix = canonical.hasSuffix(".bias") ? ".bias" : ".weight"
    let stem = canonical.hasSuffix(suffix) ? String(canonical.dropLast(suffix.count)) : canonical
    var parts = stem.split(separator: ".", omittingEmptySubsequences: false)
    var numbers: [Substring] = []
    var found = table?[stem]
    // The first number is the block's; a later one may be part of the name.
    for i in parts.indices where found == nil && Int(parts[i]) != nil {
      numbers.append(parts[i])
      parts[i] = "#"
      found = table?[parts.joined(separator: ".")]
    }
    guard let found else { return canonical }
    let pieces = found.split(separator: "#", omittingEmptySubsequences: false)
    let name = zip(pieces, numbers + [""]).map { $0 + $1 }.joined()
    if name.hasSuffix(".") { return String(name.dropLast()) }
    return [".bias", ".scale"].contains(where: name.hasSuffix) ? name : name + suffix
  }

  /// The stored tensor, which is marked as read. Throws `FileError.missingTensor`, `prefixedTensor`,
  /// `unsupportedType`.
  private func tensor(_ canonical: String) throws(FileError) -> StoredTensor {
    let name = storedName(canonical)
    if read.names.insert(name).inserted { read.inOrder.append(name) }
    if prefix != nil, !source.contains(name), let stored = prefixed(name) {
      throw .prefixedTensor(file: source.path, tensor: name, stored: stored)
    }
    return try source.tensor(name)
  }

  /// A tensor of this name after a prefix other than a block's.
  private func prefixed(_ name: String) -> String? {
    source.tensors.map(\.name).first { other in
      other.hasSuffix(".\(name)")
        && !other.dropLast(name.count).split(separator: ".").contains { Int($0) != nil }
    }
  }

  private func tensor(
    _ canonical: String, shape: [Int], ignoringOnes: Bool = false
  ) throws(FileError) -> StoredTensor {
    let tensor = try tensor(canonical)
    let isSame =
      ignoringOnes
      ? tensor.shape.filter { $0 != 1 } == shape.filter { $0 != 1 } : tensor.shape == shape
    guard isSame else {
      throw .wrongShape(
        file: tensor.file, tensor: tensor.name, shape: tensor.shape, needed: "\(shape)")
    }
    return tensor
  }

  /// Throws `ModelError.unreadTensor` if a block, numbered after one of these words, has a tensor that was not read.
  /// In a GGUF file every tensor must have been read, except those of a classifier after the model.
  public func refuseUnread(after words: [String]) throws(ModelError) {
    for tensor in source.tensors where !tensor.isComputed && !read.names.contains(tensor.name) {
      let isPart =
        isGGUF
        ? !tensor.name.hasPrefix("cls") : blockNumber(tensor.name, after: words) != nil
      if isPart, !isZeroBias(tensor) {
        throw .unreadTensor(file: source.path, tensor: tensor.name)
      }
    }
  }

  /// The result of `body`, and the stored names of the tensors that it was the first to read.
  public func recording<T>(_ body: () throws -> T) rethrows -> (T, tensors: [String]) {
    let before = read.inOrder.count
    let result = try body()
    return (result, Array(read.inOrder[before...]))
  }

  /// Whether a tensor adds nothing: some quantisers give each linear layer a bias, of zeros if the model has none.
  private func isZeroBias(_ tensor: TensorInfo) -> Bool {
    guard tensor.name.hasSuffix(".bias"), tensor.shape.count == 1,
      let stored = try? source.tensor(tensor.name)
    else { return false }
    return stored.numbers().allSatisfy { $0 == 0 }
  }

  /// Marks a tensor as read that plays no role in the model, if it exists.
  public func understand(_ canonical: String) { read.names.insert(storedName(canonical)) }

  /// Whether the file has this tensor.
  public func contains(_ canonical: String) -> Bool { source.contains(storedName(canonical)) }

  /// A weight matrix of this shape. Throws `FileError.missingTensor`, `wrongShape`, `unsupportedType`.
  public func matrix(
    _ canonical: String, rows: Int, columns: Int
  ) throws(FileError) -> StoredMatrix {
    try tensor(canonical).matrix(rows: rows, columns: columns)
  }

  /// A stack (count, rows, columns) of weight matrices. Throws `FileError` as `matrix` does.
  public func matrices(
    _ canonical: String, count: Int, rows: Int, columns: Int
  ) throws(FileError) -> [StoredMatrix] {
    try tensor(canonical).matrices(count: count, rows: rows, columns: columns)
  }

  /// A matrix of a single row, which may be a vector in GGUF. Throws `FileError` as `matrix` does.
  func row(_ canonical: String, count: Int) throws(FileError) -> StoredMatrix {
    let tensor = try tensor(canonical)
    guard isGGUF, tensor.shape == [count] else {
      return try tensor.matrix(rows: 1, columns: count)
    }
    return try tensor.rowByRow.matrix()
  }

  /// A stack of matrices of this shape as one matrix, the rows of one matrix after those of another. Throws
  /// `FileError` as `matrix` does.
  func rows(_ canonical: String, shape: [Int]) throws(FileError) -> StoredMatrix {
    try tensor(canonical, shape: shape).rowByRow.matrix()
  }

  /// A convolution's kernel of this shape as a linear map (first dimension, all others).
  public func kernel(_ canonical: String, shape: [Int]) throws(FileError) -> StoredMatrix {
    try tensor(canonical, shape: shape).flattened.matrix()
  }

  /// A norm or a bias of this length, widened to single precision; it must be finite. Throws `FileError`,
  /// `ModelError.weightNotFinite`.
  public func vector(_ canonical: String, count: Int) throws -> [Float] {
    try numbers(canonical, shape: [count])
  }

  /// The numbers of a small tensor of this shape, widened; they must be finite. Dimensions of 1 may be missing or
  /// added in GGUF files.
  public func numbers(_ canonical: String, shape: [Int]) throws -> [Float] {
    let tensor = try tensor(canonical, shape: shape, ignoringOnes: isGGUF)
    let values = tensor.numbers()
    guard values.allSatisfy(\.isFinite) else {
      throw ModelError.weightNotFinite(file: tensor.file, tensor: tensor.name)
    }
    return values
  }

  /// The linear layer with `name.weight`, stored as (outputs, inputs), or (inputs, outputs) if `transposed`, and, if
  /// `bias`, `name.bias`.
  public func linear(
    _ name: String, outputs: Int, inputs: Int, bias: Bool, transposed: Bool = false
  ) throws -> LinearWeights {
    let (rows, columns) = transposed ? (inputs, outputs) : (outputs, inputs)
    return LinearWeights(
      weights: try matrix("\(name).weight", rows: rows, columns: columns),
      bias: bias ? try vector("\(name).bias", count: outputs) : nil, transposed: transposed)
  }

  /// The projections `q_proj`, `k_proj` and `v_proj` of an attention. A GGUF file may have them as one matrix, all
  /// queries before all keys before all values, if llama.cpp's converter was asked to fuse them; for Phi 2 it used to
  /// do so always.
  public func projections(
    _ attention: String, queries: Int, keys: Int, inputs: Int, bias: Bool
  ) throws -> QueryKeyValue {
    let part = { (name: String, outputs: Int) in
      try linear("\(attention).\(name)", outputs: outputs, inputs: inputs, bias: bias)
    }
    if isGGUF, contains("\(attention).qkv_proj.weight") {
      return .parts(of: try part("qkv_proj", queries + 2 * keys), queries: queries, keys: keys)
    }
    return .separate(
      query: try part("q_proj", queries), key: try part("k_proj", keys),
      value: try part("v_proj", keys))
  }

  /// A table with as many rows as it is stored with: embeddings are often longer than the vocabulary.
  public func table(_ canonical: String, columns: Int) throws(FileError) -> StoredMatrix {
    let tensor = try tensor(canonical)
    return try tensor.matrix(rows: tensor.shape.first ?? 0, columns: columns)
  }

  /// The head over the vocabulary: as stored, or the embedding if it is tied to it and not stored separately; nil in
  /// a checkpoint of a model without one.
  public func head(
    _ name: String, tied: Bool, to embedding: StoredMatrix, bias: Bool = false
  ) throws -> LinearWeights? {
    if lacksHead, !tied, !contains("\(name).weight") { return nil }
    if !tied || contains("\(name).weight") {
      return try linear(
        name, outputs: embedding.rows, inputs: embedding.columns, bias: bias)
    }
    return LinearWeights(
      weights: embedding, bias: bias ? try vector("\(name).bias", count: embedding.rows) : nil)
  }
}

/// A set of names shared by all copies of a reader, which grows while a model is read.
private final class NameSet {
  var names: Set<String> = []
  var inOrder: [String] = []
}
