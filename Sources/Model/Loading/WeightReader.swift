import Files
import Weights
import Checkpoint
import LinearAlgebra

/// Finds a family's tensors under their canonical names, whatever the file calls them, and checks their shapes.
///
/// The canonical name is the one of the Hugging Face implementation. A GGUF file has names of its own, given by a table in
/// which `#` stands for the number of the block, and a second one for that of an expert; `.weight` or `.bias` follows them
/// unless they end in `.bias` or in a dot, which is left out. A folder may leave out or add a prefix.
public struct WeightReader {
  /// Where the tensors come from.
  public let source: any TensorSource
  private let read = NameSet()
  private let table: [String: String]?
  private let prefix: (canonical: String, stored: String)?
  /// What goes before every name asked for.
  private var scope = ""
  /// Whether the checkpoint is of a model that ends before the head.
  let lacksHead: Bool

  /// Heads that stand in the place of one over the vocabulary: of classifiers, and of reward models.
  private static let otherHeads = ["score.weight", "classifier.weight", "v_head.summary.weight"]
  /// Parts of the names of classes that have a head over the vocabulary.
  private static let headed = [
    "CausalLM", "LMHead", "ConditionalGeneration", "MaskedLM", "PreTraining",
  ]

  /// Names of a Hugging Face folder: `prefix` is the canonical one, and the first of `alternatives` under which
  /// `probe` is found takes its place. There is no head to read where `architecture`, the class whose weights these are if
  /// the file says, has none, in a base model, whose names lack the prefix unless `basePrefixed`, and where a head of another
  /// kind is there.
  public init(
    _ source: any TensorSource, prefix: String, alternatives: [String], probe: String,
    basePrefixed: Bool = false, architecture: String? = nil
  ) {
    self.source = source
    table = nil
    let prefixes = [prefix] + alternatives
    let stored =
      prefixes.first { source.contains($0 + probe) }
      // Something is missing; let the error call it as the rest is called.
      ?? prefixes.sorted { $0.count > $1.count }
      .first { p in source.tensors.contains { $0.name.hasPrefix(p) } }
    self.prefix = (prefix, stored ?? prefix)
    lacksHead =
      !basePrefixed && stored == "" && prefix != ""
      || Self.otherHeads.contains(where: source.contains)
      || architecture.map { name in !Self.headed.contains { name.contains($0) } } ?? false
  }

  /// Names of a GGUF file, by a table from canonical names without `.weight` or `.bias`.
  init(_ source: any TensorSource, ggufNames: [String: String]) {
    self.source = source
    table = ggufNames
    prefix = nil
    lacksHead = false
  }

  /// Whether the names are those of a GGUF file.
  var isGGUF: Bool { table != nil }

  /// The same reader for names that all begin alike: the tensors of one block.
  public func scoped(_ scope: String) -> WeightReader {
    var reader = self
    reader.scope += scope
    return reader
  }

  /// What the file calls a tensor.
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
    // The first number is the block's; a later one may belong to the name.
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

  /// The stored tensor, remembered as read. Throws `FileError.missingTensor`, `prefixedTensor`, `unsupportedType`.
  private func tensor(_ canonical: String) throws(FileError) -> StoredTensor {
    let name = storedName(canonical)
    if read.names.insert(name).inserted { read.inOrder.append(name) }
    if prefix != nil, !source.contains(name), let stored = prefixed(name) {
      throw .prefixedTensor(file: source.path, tensor: name, stored: stored)
    }
    return try source.tensor(name)
  }

  /// A tensor of this name after a prefix that is not that of a block.
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

  /// Throws `ModelError.unreadTensor` if a block, numbered after one of these words, has a tensor that nobody read. Of a
  /// GGUF file every tensor must have been read, except those of a classifier after the model.
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

  /// What `body` makes of tensors that were not read before, and what the file calls those.
  public func recording<T>(_ body: () throws -> T) rethrows -> (T, tensors: [String]) {
    let before = read.inOrder.count
    let result = try body()
    return (result, Array(read.inOrder[before...]))
  }

  /// Whether a tensor adds nothing: some quantisers give each linear layer a bias, of zeros where the model has none.
  private func isZeroBias(_ tensor: TensorInfo) -> Bool {
    guard tensor.name.hasSuffix(".bias"), tensor.shape.count == 1,
      let stored = try? source.tensor(tensor.name)
    else { return false }
    return stored.numbers().allSatisfy { $0 == 0 }
  }

  /// Counts a tensor as read that has no part in the model, if it is there.
  public func understand(_ canonical: String) { read.names.insert(storedName(canonical)) }

  /// Whether the file has a tensor.
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

  /// A matrix of a single row, which in GGUF may be a vector. Throws `FileError` as `matrix` does.
  func row(_ canonical: String, count: Int) throws(FileError) -> StoredMatrix {
    let tensor = try tensor(canonical)
    guard isGGUF, tensor.shape == [count] else {
      return try tensor.matrix(rows: 1, columns: count)
    }
    return try tensor.rowByRow.matrix()
  }

  /// The rows of a stack of matrices of this shape, one matrix after another, as a matrix. Throws `FileError` as `matrix`
  /// does.
  func rows(_ canonical: String, shape: [Int]) throws(FileError) -> StoredMatrix {
    try tensor(canonical, shape: shape).rowByRow.matrix()
  }

  /// A convolution's kernel of this shape as the linear map (first side, all others) of what lies under it.
  public func kernel(_ canonical: String, shape: [Int]) throws(FileError) -> StoredMatrix {
    try tensor(canonical, shape: shape).flattened.matrix()
  }

  /// A norm or a bias of this length, widened; it must be finite. Throws `FileError`, `ModelError.weightNotFinite`.
  public func vector(_ canonical: String, count: Int) throws -> [Float] {
    try numbers(canonical, shape: [count])
  }

  /// The numbers of a small tensor of this shape, likewise. Writers of GGUF files add and leave out sides of 1.
  public func numbers(_ canonical: String, shape: [Int]) throws -> [Float] {
    let tensor = try tensor(canonical, shape: shape, ignoringOnes: isGGUF)
    let values = tensor.numbers()
    guard values.allSatisfy(\.isFinite) else {
      throw ModelError.weightNotFinite(file: tensor.file, tensor: tensor.name)
    }
    return values
  }

  /// `name.weight` (outputs, inputs), or (inputs, outputs) when `transposed`, and, when `bias`, `name.bias`.
  public func linear(
    _ name: String, outputs: Int, inputs: Int, bias: Bool, transposed: Bool = false
  ) throws -> LinearWeights {
    let (rows, columns) = transposed ? (inputs, outputs) : (outputs, inputs)
    return LinearWeights(
      weights: try matrix("\(name).weight", rows: rows, columns: columns),
      bias: bias ? try vector("\(name).bias", count: outputs) : nil, transposed: transposed)
  }

  /// `q_proj`, `k_proj` and `v_proj` of an attention. A GGUF file may have them in one, all queries before all keys before
  /// all values, where llama.cpp's converter was asked to fuse them; of Phi 2 it once always did.
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

  /// A table with as many rows as it has: embeddings are often longer than the vocabulary.
  public func table(_ canonical: String, columns: Int) throws(FileError) -> StoredMatrix {
    let tensor = try tensor(canonical)
    return try tensor.matrix(rows: tensor.shape.first ?? 0, columns: columns)
  }

  /// The head over the vocabulary: as stored, or the embedding where it is tied to it and not stored by itself; nil where
  /// the checkpoint is of a model without one.
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

/// Grows while a model is read, whoever holds the reader.
private final class NameSet {
  var names: Set<String> = []
  var inOrder: [String] = []
}
