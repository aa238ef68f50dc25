import Checkpoint

/// A checkpoint as the families read it: configuration, weights, and which family it asks for.
public struct ModelFile {
  /// Whose names and conventions the file follows.
  public enum Format: Sendable {
    /// config.json and safetensors.
    case huggingFace
    /// GGUF as llama.cpp writes it.
    case gguf
  }

  /// The format.
  public let format: Format
  /// `model_type`, or `general.architecture`.
  public let modelType: String
  /// The keys of config.json, or the metadata under the architecture's name.
  public let configuration: Configuration
  /// The weights.
  public private(set) var tensors: any TensorSource
  /// The family of a GGUF file whose architecture is known.
  let ggufFamily: ModelFamily?
  /// The padding token of a GGUF file's vocabulary, if it has one.
  private(set) var paddingToken: Int?
  /// How that family's GGUF files are read.
  var dialect: GGUFDialect? { ggufFamily?.dialect }

  /// Reads which architecture a checkpoint asks for. Throws `ModelError.badKey`, `FileError`.
  public init(_ directory: CheckpointDirectory) throws {
    switch directory.kind {
    case .huggingFace(let config):
      format = .huggingFace
      tensors = try UnwrappedTensors.unwrapping(directory.tensors)
      configuration = Configuration(file: config.path, object: config.object)
      modelType = try configuration.text("model_type")
      ggufFamily = nil
    case .gguf(let file):
      let general = Configuration(file: directory.path) { file[$0]?.json }
      let architecture = try general.text("general.architecture")
      self = try ModelFile(
        GGUFMetadata(file: directory.path, architecture: architecture, tensors: file) {
          file["\(architecture).\($0)"]?.json
        })
      paddingToken = file["tokenizer.ggml.padding_token_id"]?.int
    }
  }

  /// Of a GGUF file. Throws `ModelError.badKey`, `unsupportedKey`, `FileError`.
  init(_ metadata: GGUFMetadata) throws {
    format = .gguf
    modelType = metadata.architecture
    tensors = metadata.tensors
    let family = ModelFamily.of(metadata)
    ggufFamily = family
    configuration =
      try family?.dialect.map { try metadata.configuration($0) } ?? metadata.untranslated
  }

  /// The same model with random weights, as `family` is initialised. Throws `ModelError`, `FileError`.
  func initialised(as family: ModelFamily, seed: UInt64) throws -> ModelFile {
    var file = self
    file.tensors = try RandomInitialisation(self, family: family, seed: seed).weights(of: tensors)
    return file
  }

  /// Finds tensors by canonical names that begin with `prefix`, in a folder also with one of `alternatives` in its place.
  func weights(prefix: String, alternatives: [String], probe: String) -> WeightReader {
    dialect.map { WeightReader(tensors, ggufNames: $0.names) }
      ?? WeightReader(
        tensors, prefix: prefix, alternatives: alternatives, probe: probe,
        architecture: configuration.value(["architectures"])?.value.array?.first?.string)
  }

  /// Numbers in all weights. Tables that are computed from the configuration do not count, and what a file stores under
  /// several names though it is one matrix counts once: the embedding, and a head that is tied to it.
  var parameterCount: Int {
    let all = tensors.tensors.reduce(0) { $1.isComputed ? $0 : $0 + $1.count }
    let isTied = try? configuration.flag(
      "tie_word_embeddings", default: ModelFamily.of(self).initialisation.isTied)
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

  /// Whether two tensors are the same, as far as some pages of them tell.
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

  /// The stored types, each once, by name.
  var storedTypes: [String] {
    Set(tensors.tensors.filter { !$0.isComputed }.map(\.typeName)).sorted()
  }
}

extension TensorInfo {
  /// Whether what has this name, `.weight` left out, is an embedding or, if that is asked for, a head over the vocabulary:
  /// by the last part, in all families.
  static func isEmbedding(_ name: String, orHead: Bool) -> Bool {
    let last = String(name.split(separator: ".").last ?? "")
    return embeddings.contains(last) || orHead && heads.contains(last)
  }

  private static let embeddings: Set = [
    "embed_tokens", "wte", "embed_in", "word_embeddings", "shared",
  ]
  private static let heads: Set = ["lm_head", "embed_out", "decoder"]

  /// Whether it is no weight but a table that follows from the configuration, or one that no model reads (T5 was published
  /// with a bias of its cross-attention).
  var isComputed: Bool {
    [
      "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight", ".inv_freq",
      ".attn.bias", ".attn.masked_bias",
      ".attention.bias", ".attention.masked_bias",
      "embeddings.position_ids", "EncDecAttention.relative_attention_bias.weight",
      "cross_attn_rel_b.weight",
    ].contains { name.hasSuffix($0) }
  }
}

/// The families of models, and the names files call them by.
public enum ModelFamily: String, Sendable, CaseIterable {
  /// Llama and what is built like it.
  case llama
  /// Qwen2 and Qwen2.5.
  case qwen2
  /// Qwen3.
  case qwen3
  /// Gemma.
  case gemma
  /// Gemma 2.
  case gemma2
  /// OLMo.
  case olmo
  /// OLMo 2.
  case olmo2
  /// Phi-3 and Phi-4.
  case phi3
  /// Mixtral.
  case mixtral
  /// GPT-2.
  case gpt2
  /// GPT-Neo.
  case gptNeo = "gpt_neo"
  /// GPT-NeoX and Pythia.
  case gptNeoX = "gpt_neox"
  /// GPT-J.
  case gptJ = "gptj"
  /// Phi 1, 1.5 and 2.
  case phi
  /// OPT.
  case opt
  /// BLOOM.
  case bloom
  /// MPT.
  case mpt
  /// Falcon.
  case falcon
  /// StableLM.
  case stableLM = "stablelm"
  /// T5's decoder.
  case t5
  /// BERT.
  case bert
  /// The vision transformer.
  case vit

  /// `model_type` in config.json.
  public var huggingFaceTypes: [String] {
    switch self {
    case .llama: ["llama", "mistral"]
    case .falcon: ["falcon", "RefinedWeb", "RefinedWebModel"]
    case .stableLM: ["stablelm", "stablelm_epoch"]
    default: [rawValue]
    }
  }

  /// `general.architecture` in GGUF files.
  public var ggufArchitectures: [String] { dialect.map { [$0.architecture] } ?? [] }

  /// How GGUF files of this family are read, if llama.cpp has it.
  var dialect: GGUFDialect? {
    switch self {
    case .llama: .llama
    case .qwen2: .qwen2
    case .qwen3: .qwen3
    case .gemma: .gemma
    case .gemma2: .gemma2
    case .olmo: .olmo
    case .olmo2: .olmo2
    case .phi3: .phi3
    case .mixtral: .mixtral
    case .gpt2: .gpt2
    case .gptNeoX: .gptNeoX
    case .gptJ: .gptJ
    case .phi: .phi
    case .bloom: .bloom
    case .mpt: .mpt
    case .falcon: .falcon
    case .stableLM: .stableLM
    case .t5: .t5
    case .bert: .bert
    case .gptNeo, .opt, .vit: nil
    }
  }

  /// How its tensors are initialised.
  var initialisation: Initialisation {
    switch self {
    case .llama, .qwen2, .qwen3, .mixtral, .phi, .stableLM: Initialisation()
    case .olmo, .olmo2: Initialisation(paddingToken: 1)
    case .phi3: Initialisation(paddingToken: 32_000)
    case .gemma, .gemma2: .gemma
    case .gptNeoX, .gptJ: Initialisation(hasPadding: false)
    case .gptNeo, .bloom, .mpt, .falcon: Initialisation(isTied: true, hasPadding: false)
    case .gpt2: .gpt2
    case .opt: Initialisation(key: "init_std", isTied: true, paddingToken: 1)
    case .t5: .t5
    case .bert: Initialisation(isTied: true, paddingToken: 0)
    case .vit: .vit
    }
  }

  /// The family of a GGUF file: Mixtral's are of the architecture llama, with experts.
  fileprivate static func of(_ metadata: GGUFMetadata) -> ModelFamily? {
    let families = allCases.filter { $0.ggufArchitectures.contains(metadata.architecture) }
    return families.first { ($0 == .mixtral) == metadata.isMixture } ?? families.first
  }

  fileprivate func load(_ file: ModelFile) throws -> any Transformer {
    switch self {
    case .llama: try GatedDecoder(llama: file)
    case .qwen2: try GatedDecoder(qwen2: file)
    case .qwen3: try GatedDecoder(qwen3: file)
    case .gemma: try GatedDecoder(gemma: file)
    case .gemma2: try GatedDecoder(gemma2: file)
    case .olmo: try GatedDecoder(olmo: file)
    case .olmo2: try GatedDecoder(olmo2: file)
    case .phi3: try GatedDecoder(phi3: file)
    case .mixtral: try GatedDecoder(mixtral: file)
    case .gpt2: try LayerNormDecoder(gpt2: file)
    case .gptNeo: try LayerNormDecoder(gptNeo: file)
    case .gptNeoX: try LayerNormDecoder(gptNeoX: file)
    case .gptJ: try LayerNormDecoder(gptJ: file)
    case .phi: try LayerNormDecoder(phi: file)
    case .opt: try LayerNormDecoder(opt: file)
    case .bloom: try LayerNormDecoder(bloom: file)
    case .mpt: try LayerNormDecoder(mpt: file)
    case .falcon: try LayerNormDecoder(falcon: file)
    case .stableLM: try LayerNormDecoder(stableLM: file)
    case .t5: try T5(file)
    case .bert: try Bert(file)
    case .vit: try ViT(file)
    }
  }

  /// The family a file asks for. Throws `ModelError.unknownArchitecture`, or `unsupportedKey` for a family that has no GGUF.
  public static func of(_ file: ModelFile) throws(ModelError) -> ModelFamily {
    let named = allCases.first { $0.huggingFaceTypes.contains(file.modelType) }
    if let family = file.format == .gguf ? file.ggufFamily : named { return family }
    if file.format == .gguf, let named, named.dialect == nil {
      throw .unsupportedKey(
        file: file.configuration.file, key: "general.architecture", value: "\"\(file.modelType)\"",
        reason: "llama.cpp has no such architecture, so nothing says how the file is to be read; "
          + "open a folder of config.json and safetensors")
    }
    var known: [String] = []
    for name in allCases.flatMap({
      file.format == .gguf ? $0.ggufArchitectures : $0.huggingFaceTypes
    }) where !known.contains(name) { known.append(name) }
    throw .unknownArchitecture(
      file: file.configuration.file, name: file.modelType, known: known)
  }
}

/// Opens a model: finds its family, and checks every tensor's name, shape and type before any work is done.
///
/// Nothing is copied but norms and biases. With a `randomSeed` the weights are not the file's: they are made anew, as the
/// reference implementation initialises the family, on disk in the folder for temporary files, of which nothing stays.
/// Throws `FileError` and `ModelError`.
public func loadTransformer(
  _ directory: CheckpointDirectory, randomSeed: UInt64? = nil
) throws -> any Transformer {
  try loadTransformer(ModelFile(directory), randomSeed: randomSeed)
}

func loadTransformer(_ file: ModelFile, randomSeed: UInt64? = nil) throws -> any Transformer {
  let family = try ModelFamily.of(file)
  guard let seed = randomSeed else { return try family.load(file) }
  return try family.load(file.initialised(as: family, seed: seed))
}
