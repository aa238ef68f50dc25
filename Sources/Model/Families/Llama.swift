import Autodiff
import Checkpoint
import LinearAlgebra

/// Llama and the models built like it: Llama 2 and 3, CodeLlama, Vicuna, Orca, SmolLM2, Mistral.
///
/// A block is X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z), with RMSNorm, rotary embedding, grouped-query attention
/// (in a sliding window for Mistral) and a gated MLP. f = F − X is both halves' sum.
/// Touvron et al., arXiv 2302.13971; Jiang et al., arXiv 2310.06825.
struct Llama: Transformer {
  // MARK: Configuration

  struct Sizes: Sendable {
    var layers, width, hidden, heads, keyValueHeads, headDimension: Int
    var positions: Int?
    var epsilon: Double
    var activation: Activation
    var rotary: RotaryFrequencies
    var pairing: Pairing
    var window: Int?
    var attentionBias, mlpBias, tiedHead: Bool

    /// `halves` in Hugging Face files. llama.cpp stores the rows of q and k so that a pair lies side by side; scores do not
    /// depend on the order of features within a head as long as q and k agree, so the rows are taken as they lie.
    enum Pairing: Sendable { case halves, neighbours }

    /// The keys of a config.json, with the defaults of the reference implementation.
    init(huggingFace c: Configuration) throws(ModelError) {
      let isMistral = try c.text("model_type", default: "llama") == "mistral"
      layers = try c.size("num_hidden_layers", default: 32)
      width = try c.size("hidden_size", default: 4096)
      hidden = try c.size("intermediate_size", default: isMistral ? 14336 : 11008)
      heads = try c.size("num_attention_heads", default: 32)
      keyValueHeads = try c.size("num_key_value_heads", default: isMistral ? 8 : heads)
      headDimension = try c.size("head_dim", default: max(width / heads, 1))
      let trained = try c.size("max_position_embeddings", default: isMistral ? 131_072 : 2048)
      epsilon = try c.positive("rms_norm_eps", default: 1e-6)
      activation = try Activation(c, "hidden_act", default: "silu")
      rotary = try RotaryFrequencies(c, dimension: headDimension, trained: trained)
      positions = rotary.isUnlimited ? nil : trained
      pairing = .halves
      // The reference has a window unless the file says null.
      let mentioned = isMistral && c.mentions("sliding_window")
      window = isMistral ? try c.optionalSize("sliding_window") ?? (mentioned ? nil : 4096) : nil
      attentionBias = isMistral ? false : try c.flag("attention_bias", default: false)
      mlpBias = isMistral ? false : try c.flag("mlp_bias", default: false)
      tiedHead = try c.flag("tie_word_embeddings", default: false)
      try check(c)
    }

    /// The metadata of a GGUF file under `llama.`; what it leaves open the tensors tell.
    init(gguf c: Configuration, _ weights: WeightReader) throws {
      layers = try c.size("block_count")
      width = try c.size("embedding_length")
      hidden = try c.size("feed_forward_length")
      heads = try c.size("attention.head_count")
      keyValueHeads = try c.size("attention.head_count_kv", default: heads)
      headDimension = try c.size("attention.key_length", default: max(width / heads, 1))
      positions = try c.size("context_length", default: 2048)
      epsilon = try c.positive("attention.layer_norm_rms_epsilon")
      activation = .silu
      window = try c.optionalSize("attention.sliding_window")
      let dimension = try c.size("rope.dimension_count", default: headDimension)
      try c.check(
        dimension == headDimension, "rope.dimension_count", "is not the size of a head")
      try c.check(
        dimension % 2 == 0, "rope.dimension_count", "is odd, and features rotate in pairs")
      let theta = try c.positive("rope.freq_base", default: 10_000)
      let scaling: RotaryFrequencies.Scaling
      // As llama.cpp reads it: linear unless it says otherwise, and a factor of 0 is none.
      switch try c.text("rope.scaling.type", default: "linear") {
      case "none": scaling = .none
      case "linear":
        let factor = try c.number("rope.scaling.factor", "rope.scale_linear", default: 0)
        try c.check(factor >= 0, "rope.scaling.factor", "is negative")
        scaling = factor == 0 ? .none : .linear(factor: factor)
      case let type:
        throw ModelError.unsupportedKey(
          file: c.file, key: "rope.scaling.type", value: type, reason: "known are none and linear")
      }
      if weights.contains("rope_freqs.weight") {
        let factors = try weights.vector("rope_freqs.weight", count: dimension / 2)
        guard factors.allSatisfy({ $0 > 0 }) else {
          throw ModelError.badKey(
            file: c.file, key: "rope_freqs.weight", reason: "must hold positive numbers")
        }
        rotary = RotaryFrequencies(
          dimension: dimension, theta: theta, scaling: .factors(factors.map(Double.init)))
      } else {
        rotary = RotaryFrequencies(dimension: dimension, theta: theta, scaling: scaling)
      }
      pairing = .neighbours
      attentionBias = weights.contains("model.layers.0.self_attn.q_proj.bias")
      mlpBias = weights.contains("model.layers.0.mlp.gate_proj.bias")
      tiedHead = !weights.contains("lm_head.weight")
      try c.check(
        try c.optionalSize("expert_count") == nil, "expert_count",
        "asks for a mixture of experts, which is another family")
      try check(c)
    }

    private func check(_ c: Configuration) throws(ModelError) {
      try c.check(
        heads % keyValueHeads == 0, "num_key_value_heads",
        "is \(keyValueHeads), which does not divide the \(heads) heads")
      try c.refuseUnread()
    }
  }

  // MARK: Weights

  struct Layer: Sendable {
    var attentionNorm, mlpNorm: [Float]
    var query, key, value, output: LinearWeights
    var gate, up, down: LinearWeights
  }

  static let ggufNames = [
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "rope_freqs": "rope_freqs",
    "model.layers.#.input_layernorm": "blk.#.attn_norm",
    "model.layers.#.self_attn.q_proj": "blk.#.attn_q",
    "model.layers.#.self_attn.k_proj": "blk.#.attn_k",
    "model.layers.#.self_attn.v_proj": "blk.#.attn_v",
    "model.layers.#.self_attn.o_proj": "blk.#.attn_output",
    "model.layers.#.post_attention_layernorm": "blk.#.ffn_norm",
    "model.layers.#.mlp.gate_proj": "blk.#.ffn_gate",
    "model.layers.#.mlp.up_proj": "blk.#.ffn_up",
    "model.layers.#.mlp.down_proj": "blk.#.ffn_down",
  ]

  /// What stands before the number of a block in a tensor's name.
  static let blockWords = ["blk.", "layers."]

  let sizes: Sizes
  let description: ModelDescription
  let source: any TensorSource
  let layers: [Layer]
  let embedding: StoredMatrix
  let norm: [Float]
  let head: StoredMatrix

  /// Reads a model of this family. Throws `ModelError`, `CheckpointError`.
  init(_ file: ModelFile) throws {
    let weights: WeightReader
    switch file.format {
    case .huggingFace:
      weights = WeightReader(
        file.tensors, prefix: "model.", alternatives: ["", "transformer."],
        probe: "embed_tokens.weight")
      sizes = try Sizes(huggingFace: file.configuration)
    case .gguf:
      weights = WeightReader(file.tensors, ggufNames: Self.ggufNames)
      sizes = try Sizes(gguf: file.configuration, weights)
    }
    let s = sizes
    let vocabulary =
      try file.tensors.tensor(weights.storedName("model.embed_tokens.weight"))
      .shape.first ?? 0
    embedding = try weights.matrix(
      "model.embed_tokens.weight", rows: vocabulary, columns: s.width)
    norm = try weights.vector("model.norm.weight", count: s.width)
    head =
      s.tiedHead
      ? embedding
      : try weights.matrix("lm_head.weight", rows: vocabulary, columns: s.width)
    var layers: [Layer] = []
    // One by one: a file that lies about their number must not make room for them all.
    for l in 0..<s.layers {
      let block = "model.layers.\(l)."
      let (queries, keys) = (s.heads * s.headDimension, s.keyValueHeads * s.headDimension)
      let attention = { (name: String, outputs: Int, inputs: Int) in
        try weights.linear(
          block + "self_attn." + name, outputs: outputs, inputs: inputs, bias: s.attentionBias)
      }
      let mlp = { (name: String, outputs: Int, inputs: Int) in
        try weights.linear(block + "mlp." + name, outputs: outputs, inputs: inputs, bias: s.mlpBias)
      }
      layers.append(
        Layer(
          attentionNorm: try weights.vector(block + "input_layernorm.weight", count: s.width),
          mlpNorm: try weights.vector(block + "post_attention_layernorm.weight", count: s.width),
          query: try attention("q_proj", queries, s.width),
          key: try attention("k_proj", keys, s.width),
          value: try attention("v_proj", keys, s.width),
          output: try attention("o_proj", s.width, queries),
          gate: try mlp("gate_proj", s.hidden, s.width),
          up: try mlp("up_proj", s.hidden, s.width),
          down: try mlp("down_proj", s.width, s.hidden)))
    }
    self.layers = layers
    try weights.refuseUnread(after: Self.blockWords)
    source = file.tensors
    description = ModelDescription(
      family: "llama", modelType: file.modelType, layers: s.layers, width: s.width,
      vocabulary: vocabulary, heads: s.heads, keyValueHeads: s.keyValueHeads,
      hiddenWidth: s.hidden, positions: s.positions, parameters: file.parameterCount,
      storedTypes: file.storedTypes,
      residual: "f(X) = attention(norm X) + mlp(norm Z), Z = X + attention(norm X); "
        + "the block's input is not normalised")
  }

  func tensorNames(ofBlock index: Int?) -> [String] {
    source.tensors.map(\.name).filter { name in
      blockNumber(name, after: Self.blockWords) == index
    }
  }

  // MARK: Computation

  func embed<S: RealScalar>(
    _ tokens: [Int], at positions: [Int], as precision: S.Type
  ) throws(ModelError) -> Variable<S> {
    try embedding.embed(tokens)
  }

  func block<S: RealScalar>(_ index: Int, as precision: S.Type) -> any ResidualBlock<S> {
    LlamaBlock(sizes, layers[index])
  }

  func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    x.rmsNorm(gain: norm.map { S($0) }, epsilon: S(sizes.epsilon))
  }

  func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S> { x.linear(head) }
}

/// One block, in one precision.
private struct LlamaBlock<Scalar: RealScalar>: ResidualBlock {
  let sizes: Llama.Sizes
  let layer: Llama.Layer
  let settings: AttentionSettings<Scalar>

  init(_ sizes: Llama.Sizes, _ layer: Llama.Layer) {
    self.sizes = sizes
    self.layer = layer
    let window = sizes.window ?? .max
    settings = AttentionSettings(
      heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headDimension: sizes.headDimension,
      scale: 1 / Scalar(sizes.headDimension).squareRoot(),
      // A token sees itself and the window − 1 before it.
      visible: { query, _ in max(0, query - window + 1)..<query + 1 })
  }

  func attention(_ x: Stream<Scalar>, in scope: TokenScope<Scalar>) -> Variable<Scalar> {
    let h = x.map { normalized($0, layer.attentionNorm) }
    let pairing: RotaryAngles<Scalar>.Pairing = sizes.pairing == .halves ? .halves : .neighbours
    let q = scope.rotate(
      queries: layer.query(h.target), heads: sizes.heads, by: sizes.rotary, pairing: pairing)
    let k = scope.rotate(
      keys: layer.key(h.source), heads: sizes.keyValueHeads, by: sizes.rotary, pairing: pairing)
    let v = layer.value(h.source)
    return layer.output(scope.attend(queries: q, keys: k, values: v, settings: settings))
  }

  func mlp(_ z: Variable<Scalar>) -> Variable<Scalar> {
    let h = normalized(z, layer.mlpNorm)
    return layer.down(layer.gate(h).activated(by: sizes.activation) * layer.up(h))
  }

  private func normalized(_ x: Variable<Scalar>, _ gain: [Float]) -> Variable<Scalar> {
    x.rmsNorm(gain: gain.map { Scalar($0) }, epsilon: Scalar(sizes.epsilon))
  }
}
