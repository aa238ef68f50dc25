import Checkpoint

/// A checkpoint in the form that families read: configuration, weights, and its family.
public struct ModelFile {
  /// The format, which determines names and conventions.
  public enum Format: Sendable {
    /// config.json and safetensors.
    case huggingFace
    /// GGUF as llama.cpp writes it.
    case gguf
  }

  /// The format.
  public let format: Format
  /// `model_type`, for a nested configuration that of the part that is read, or `general.architecture`.
  public let modelType: String
  /// `model_type` of the whole model that this is a part of; nil if it is not a part.
  public let outerType: String?
  /// The keys of config.json, or the metadata under the architecture's prefix.
  public let configuration: Configuration
  /// The weights.
  public private(set) var tensors: any TensorSource
  /// The parts of the checkpoint that are not read: towers for images and sound, projectors.
  public private(set) var unread: [UnreadPart]
  /// The family of the file.
  public let family: FamilyDefinition
  /// The dialect of a GGUF file; nil for other formats.
  let dialect: GGUFDialect?
  /// The padding token of a GGUF file's vocabulary; nil if it has none.
  private(set) var paddingToken: Int?

  /// Opens a checkpoint and finds its family. If it has several parts, `tower` is read if its type is known, and
  /// otherwise the part whose type is. Throws `ModelError`, `FileError`.
  public init(
    _ directory: CheckpointDirectory, families: [FamilyDefinition] = .builtIn,
    tower wanted: Tower = .text
  ) throws {
    switch directory.kind {
    case .huggingFace(let config):
      format = .huggingFace
      let (own, others) = try UnwrappedTensors.unwrapping(directory.tensors)
      unread = UnreadPart.parts(of: others)
      let whole = Configuration(file: config.path, object: config.object)
      let type = try whole.text("model_type")
      let part = families.tower(of: type, wanted)
      if let (tower, inner) = part {
        configuration = try Configuration(tower, of: whole, config.object)
        modelType = try configuration.text("model_type", default: inner)
        outerType = type
      } else {
        (configuration, modelType, outerType) = (whole, type, nil)
      }
      family = try families.family(ofType: modelType, in: configuration.file)
      tensors =
        try QuantizationScheme(configuration).map { try QuantizedTensors(own, scheme: $0) } ?? own
      dialect = nil
      if let (tower, _) = part { try leaveOut(tower.otherPart) }
    case .gguf(let file):
      let general = Configuration(file: directory.path) { file[$0]?.json }
      let architecture = try general.text("general.architecture")
      self = try ModelFile(
        GGUFMetadata(
          file: directory.path, architecture: architecture, tensors: directory.tensors
        ) {
          // The keys of xIELU have no architecture prefix.
          (file["\(architecture).\($0)"] ?? file[$0])?.json
        }, families: families)
      paddingToken = file["tokenizer.ggml.padding_token_id"]?.int
    }
  }

  /// Creates a model file from the metadata of a GGUF file. Throws `ModelError`, `FileError`.
  init(_ metadata: GGUFMetadata, families: [FamilyDefinition] = .builtIn) throws {
    format = .gguf
    modelType = metadata.architecture
    (outerType, unread) = (nil, [])
    tensors = metadata.tensors
    let (family, dialect) = try families.family(of: metadata)
    (self.family, self.dialect) = (family, dialect)
    configuration = try metadata.configuration(dialect)
  }

  /// The same file without the tensors for which `part` returns a name, which becomes the name of an unread part.
  /// Throws `FileError`.
  func leavingOut(_ part: (_ tensor: String) -> String?) throws -> ModelFile {
    var file = self
    try file.leaveOut(part)
    return file
  }

  private mutating func leaveOut(_ part: (_ tensor: String) -> String?) throws {
    let parts = Dictionary(grouping: tensors.tensors) { part($0.name) }
    guard let kept = parts[nil], parts.count > 1 else { return }
    tensors = try SelectedTensors(kept, of: tensors)
    unread += parts.compactMap { name, tensors in
      name.map {
        UnreadPart(
          name: $0, tensors: tensors.count,
          bytes: tensors.reduce(0) { $0 + $1.byteRange.count })
      }
    }.sorted { $0.name < $1.name }
  }

  /// The same model with random weights, initialised as its family is. Throws `ModelError`, `FileError`.
  func initialised(seed: UInt64) throws -> ModelFile {
    var file = self
    file.tensors = try RandomInitialisation(self, seed: seed).weights(of: tensors)
    return file
  }

  /// A reader of tensors by canonical names that begin with `prefix`, which in a folder may be replaced by one of
  /// `alternatives`.
  public func weights(
    prefix: String, alternatives: [String], probe: String, basePrefixed: Bool = false
  ) -> WeightReader {
    dialect.map { WeightReader(tensors, ggufNames: $0.names) }
      ?? WeightReader(
        tensors, prefix: prefix, alternatives: alternatives, probe: probe,
        basePrefixed: basePrefixed,
        architecture: configuration.value(["architectures"])?.value.array?.first?.string)
  }

  /// The number of parameters. Tables that are computed from the configuration do not count, and a matrix stored
  /// under several names counts once: the embedding, and a head that is tied to it.
  public var parameterCount: Int {
    let all = tensors.tensors.reduce(0) { $1.isComputed ? $0 : $0 + $1.count }
    let isTied = try? configuration.flag(
      "tie_word_embeddings", default: family.initialisation.isTied)
    var embeddings: [TensorInfo] = []
    return tensors.tensors.reduce(all) { count, tensor in
      guard tensor.name.hasSuffix(".weight"),
        TensorInfo.isEmbedding(String(tensor.name.dropLast(7)), orHead: isTied == true)
      else { return count }
      if embeddings.contains(where: { isCopy(tensor, of: $0) }) { return count - tensor.count }
      embeddings.append(tensor)
      return count
    }
  }

  /// Whether two tensors are equal, judged by some of their pages.
  private func isCopy(_ a: TensorInfo, of b: TensorInfo) -> Bool {
    guard a.shape == b.shape, a.typeName == b.typeName, let x = try? tensors.tensor(a.name).bytes,
      let y = try? tensors.tensor(b.name).bytes, x.count == y.count
    else { return false }
    let (pieces, size) = (16, min(x.count, 1 << 12))
    return (0..<pieces).allSatisfy { piece in
      let start = (x.count - size) / (pieces - 1) * piece
      return x[start..<start + size].elementsEqual(y[start..<start + size])
    }
  }

  /// The stored types, each once, sorted by name.
  public var storedTypes: [String] {
    Set(tensors.tensors.filter { !$0.isComputed }.map(\.typeName)).sorted()
  }
}

extension TensorInfo {
  /// Whether a tensor name without `.weight` denotes an embedding or, if requested, a head over the vocabulary:
  /// judged by its last part, in all families.
  static func isEmbedding(_ name: String, orHead: Bool) -> Bool {
    let last = String(name.split(separator: ".").last ?? "")
    return embeddings.contains(last) || orHead && heads.contains(last)
  }

  private static let embeddings: Set = [
    "embed_tokens", "embed_tokens_per_layer", "wte", "embed_in", "word_embeddings", "shared",
    "tok_embeddings", "embeddings", "embedding",
  ]
  private static let heads: Set = [
    "lm_head", "embed_out", "decoder", "vocab_projector", "generator_lm_head",
  ]

  /// Whether the tensor is not a weight but a table computed from the configuration, or one that no model reads (T5
  /// was published with a bias of its cross-attention).
  var isComputed: Bool {
    [
      "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight", ".inv_freq",
      ".attn.bias", ".attn.masked_bias", ".attn.causal_mask",
      ".attention.bias", ".attention.masked_bias",
      "embeddings.position_ids", "EncDecAttention.relative_attention_bias.weight",
      "cross_attn_rel_b.weight",
    ].contains { name.hasSuffix($0) }
  }
}

/// Opens a model: finds its family and checks every tensor's name, shape and type before any work is done.
///
/// Nothing is copied except norms and biases. With a `randomSeed` the weights are not the file's: they are newly
/// initialised, like the reference implementation's for the family, in a temporary file that does not outlive the
/// process. `tower` selects the part to read of a model with a text and an image part. Throws `FileError` and
/// `ModelError`.
public func loadTransformer(
  _ directory: CheckpointDirectory, families: [FamilyDefinition] = .builtIn,
  tower: Tower = .text, randomSeed: UInt64? = nil
) throws -> any Transformer {
  try loadTransformer(
    ModelFile(directory, families: families, tower: tower), randomSeed: randomSeed)
}

func loadTransformer(_ file: ModelFile, randomSeed: UInt64? = nil) throws -> any Transformer {
  try file.family.read(randomSeed.map { try file.initialised(seed: $0) } ?? file)
}
