import Checkpoint
import LinearAlgebra

/// Reads the parts of a decoder under the names that Llama gave them and that the families close to it kept.
public struct DecoderReader {
  /// Finds the tensors.
  public let weights: WeightReader
  /// Sizes and functions.
  public let settings: DecoderSettings
  /// What norms add to their stored gains.
  let gainOffset: Double

  /// Of names under `weights`.
  public init(_ weights: WeightReader, _ settings: DecoderSettings, gainOffset: Double = 0) {
    self.weights = weights
    self.settings = settings
    self.gainOffset = gainOffset
  }

  /// Of a folder, with or without the prefix `model.`, or of a GGUF file, whose norms store what they multiply by.
  public init(_ file: ModelFile, _ settings: DecoderSettings, gainOffset: Double = 0) {
    var settings = settings
    if let dialect = file.dialect { settings.pairing = dialect.pairing }
    self.init(
      file.weights(
        prefix: "model.", alternatives: ["", "transformer."], probe: "embed_tokens.weight"),
      settings, gainOffset: file.format == .gguf ? 0 : gainOffset)
  }

  /// The reader of block `l`.
  public func block(_ l: Int) -> DecoderReader {
    DecoderReader(weights.scoped("model.layers.\(l)."), settings, gainOffset: gainOffset)
  }

  /// The RMSNorm of this name, with `count` gains or as many as the width.
  public func norm(_ name: String, count: Int? = nil) throws -> RMSNormWeights {
    RMSNormWeights(
      gain: try weights.vector(name + ".weight", count: count ?? settings.width),
      offset: gainOffset, epsilon: settings.epsilon)
  }

  /// The LayerNorm of this name.
  public func layerNorm(_ name: String, bias: Bool = true) throws -> LayerNormWeights {
    var norm = try weights.layerNorm(
      name, width: settings.width, epsilon: settings.epsilon, bias: bias)
    norm.offset = gainOffset
    return norm
  }

  /// What the norms of queries and keys go over.
  public enum HeadNorms: Sendable {
    /// The features of each head.
    case each
    /// Those of all heads together.
    case all
  }

  /// `q_proj`, `k_proj`, `v_proj`, `o_proj`; the last has a bias where the others do unless `outputBias` says otherwise. With
  /// the RMSNorms `q_norm` and `k_norm` if `norms` says what they go over.
  public func attention(
    window: Int? = nil, outputBias: Bool? = nil, norms: HeadNorms? = nil
  ) throws -> AttentionWeights {
    let s = settings
    let (queries, keys) = (s.heads * s.headDimension, s.keyValueHeads * s.headDimension)
    var attention = attention(
      try weights.projections(
        "self_attn", queries: queries, keys: keys, inputs: s.width, bias: s.attentionBias),
      output: try weights.linear(
        "self_attn.o_proj", outputs: s.width, inputs: queries, bias: outputBias ?? s.attentionBias),
      window: window)
    if let norms {
      let isEach = norms == .each
      attention.queryNorm = try norm("self_attn.q_norm", count: isEach ? s.headDimension : queries)
      attention.keyNorm = try norm("self_attn.k_norm", count: isEach ? s.headDimension : keys)
    }
    return attention
  }

  /// The attention these projections make.
  public func attention(
    _ projection: QueryKeyValue, output: LinearWeights, window: Int?
  ) -> AttentionWeights {
    AttentionWeights(
      heads: settings.heads, keyValueHeads: settings.keyValueHeads,
      headDimension: settings.headDimension, projection: projection, output: output,
      rotary: settings.rotary, pairing: settings.pairing, window: window)
  }

  /// `gate_proj`, if there is a gate, `up_proj`, `down_proj` of an MLP of this name, and of this width if it is not that of
  /// all.
  public func mlp(
    _ name: String = "mlp", width inner: Int? = nil, isGated: Bool = true
  ) throws -> MLPWeights {
    let (s, inner) = (settings, inner ?? settings.feedForwardWidth)
    let part = { (part: String, outputs: Int, inputs: Int) in
      try weights.linear("\(name).\(part)", outputs: outputs, inputs: inputs, bias: s.mlpBias)
    }
    return MLPWeights(
      gate: isGated ? try part("gate_proj", inner, s.width) : nil,
      up: try part("up_proj", inner, s.width), down: try part("down_proj", s.width, inner),
      activation: s.activation)
  }

  /// `gate_up_proj`, of whose outputs the first half are the gate's, and `down_proj`, without biases.
  public func fusedMLP() throws -> MLPWeights {
    let s = settings
    let fused = try weights.linear(
      "mlp.gate_up_proj", outputs: 2 * s.feedForwardWidth, inputs: s.width, bias: false)
    return MLPWeights(
      gate: fused.outputs(0..<s.feedForwardWidth),
      up: fused.outputs(s.feedForwardWidth..<2 * s.feedForwardWidth),
      down: try weights.linear(
        "mlp.down_proj", outputs: s.width, inputs: s.feedForwardWidth, bias: false),
      activation: s.activation)
  }
}

extension DecoderModel {
  /// Reads embedding, head and, one after another, the blocks. `note` says what there is to know besides the family's
  /// residual function.
  ///
  /// Throws `FileError`, `ModelError`; `ModelError.unreadTensor` for a tensor of a block that was not read.
  public init(
    _ file: ModelFile, _ reader: DecoderReader, norm: any NormWeights, embeddingScale: Double = 1,
    embeddingNorm: (any NormWeights)? = nil, logitScale: Double = 1, logitCap: Double? = nil,
    headBias: Bool = false,
    isCausal: Bool = true, note: String? = nil,
    block: (_ reader: DecoderReader, _ index: Int) throws -> DecoderBlock
  ) throws {
    let (s, weights) = (reader.settings, reader.weights)
    let tokens = try weights.table("model.embed_tokens.weight", columns: s.width)
    let head = try weights.head("lm_head", tied: s.tiedHead, to: tokens, bias: headBias)
    try self.init(
      file, weights, width: s.width, heads: s.heads, keyValueHeads: s.keyValueHeads,
      feedForwardWidth: s.feedForwardWidth, positions: s.positions,
      embedding: Embedding(tokens: tokens, scale: embeddingScale, norm: embeddingNorm),
      blocks: Self.blocks(s.layers) { l in try block(reader.block(l), l) },
      head: Head(norm: norm, weights: head, scale: logitScale, softCap: logitCap),
      isCausal: isCausal,
      residual: file.family.residual, note: note)
  }
}
