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
  public let tensors: any TensorSource

  /// Reads which architecture a checkpoint asks for. Throws `ModelError.badKey`.
  public init(_ directory: CheckpointDirectory) throws {
    tensors = directory.tensors
    switch directory.kind {
    case .huggingFace(let config, _):
      format = .huggingFace
      configuration = Configuration(file: config.path, object: config.object)
      modelType = try configuration.text("model_type")
    case .gguf(let file):
      format = .gguf
      let general = Configuration(file: directory.path) { file[$0]?.json }
      let architecture = try general.text("general.architecture")
      modelType = architecture
      configuration = Configuration(file: directory.path) { file["\(architecture).\($0)"]?.json }
    }
  }

  /// Numbers in all weights; tables that are computed from the configuration do not count.
  var parameterCount: Int {
    tensors.tensors.reduce(0) { $1.isComputed ? $0 : $0 + $1.count }
  }

  /// The stored types, each once, by name.
  var storedTypes: [String] {
    Set(tensors.tensors.filter { !$0.isComputed }.map(\.typeName)).sorted()
  }
}

extension TensorInfo {
  /// Whether it is no weight but a table that follows from the configuration, or one that no model reads (T5 was published
  /// with a bias of its cross-attention).
  var isComputed: Bool {
    [
      "rope_freqs.weight", ".inv_freq", "attn.bias", "attn.masked_bias",
      "attention.bias", "attention.masked_bias",
      "embeddings.position_ids", "EncDecAttention.relative_attention_bias.weight",
    ].contains { name.hasSuffix($0) }
  }
}

extension GGUFValue {
  /// A scalar as JSON has it; arrays are not needed here.
  fileprivate var json: JSONValue? {
    if let int { return .number(.integer(int)) }
    if let double { return .number(.real(double)) }
    if let bool { return .bool(bool) }
    return string.map { .string($0) }
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
  public var ggufArchitectures: [String] { self == .llama ? ["llama"] : [] }

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

  private static func names(_ format: ModelFile.Format) -> [(name: String, family: ModelFamily)] {
    allCases.flatMap { family in
      (format == .gguf ? family.ggufArchitectures : family.huggingFaceTypes).map { ($0, family) }
    }
  }

  /// The family a file asks for. Throws `ModelError.unknownArchitecture`.
  public static func of(_ file: ModelFile) throws(ModelError) -> ModelFamily {
    let names = names(file.format)
    guard let match = names.first(where: { $0.name == file.modelType }) else {
      throw .unknownArchitecture(
        file: file.configuration.file, name: file.modelType, known: names.map(\.name))
    }
    return match.family
  }
}

/// Opens a model: finds its family, and checks every tensor's name, shape and type before any work is done.
///
/// Nothing is copied but norms and biases. Throws `CheckpointError` and `ModelError`.
public func loadTransformer(_ directory: CheckpointDirectory) throws -> any Transformer {
  let file = try ModelFile(directory)
  return try ModelFamily.of(file).load(file)
}
