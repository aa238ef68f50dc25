import Checkpoint
import LinearAlgebra

/// A reader of the parts of a decoder, under the names that Llama introduced and related families kept.
public struct DecoderReader {
  /// The reader of tensors.
  public let weights: WeightReader
  /// The sizes and functions.
  public let settings: DecoderSettings
  /// The offset that norms add to their stored gains.
  let gainOffset: Double

  /// Creates a reader of names under `weights`.
  public init(_ weights: WeightReader, _ settings: DecoderSettings, gainOffset: Double = 0) {
    self.weights = weights
    self.settings = settings
    self.gainOffset = gainOffset
  }

  /// Creates a reader of a folder, with or without the prefix `model.`, or of a GGUF file, whose norms store their
  /// gains without offset.
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

  /// The RMSNorm of this name, with `count` gains, by default as many as the width.
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

  /// The features that the norms of queries and keys are taken over.
  public enum HeadNorms: Sendable {
    /// The features of each head separately.
    case each
    /// The features of all heads together.
    case all
  }

  /// The attention made of `q_proj`, `k_proj`, `v_proj` and `o_proj`; the last has a bias if the others do unless
  /// `outputBias` says otherwise. With the RMSNorms `q_norm` and `k_norm` over the features given by `norms`, if any.
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

  /// The attention with these projections.
  public func attention(
    _ projection: QueryKeyValue, output: LinearWeights, window: Int?
  ) -> AttentionWeights {
    AttentionWeights(
      heads: settings.heads, keyValueHeads: settings.keyValueHeads,
      headDimension: settings.headDimension, projection: projection, output: output,
      rotary: settings.rotary, pairing: settings.pairing, window: window)
  }

  /// The MLP made of `gate_proj`, if there is a gate, `up_proj` and `down_proj` under this name, of this width or the
  /// common one.
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

  /// The MLP made of `gate_up_proj`, with the gate as the first half of its outputs, and `down_proj`, without biases.
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
  /// Reads embedding, head and, one after another, the blocks. `note` is added to the text of the family's residual
  /// function.
  ///
  /// Throws `FileError`, `ModelError`; `ModelError.unreadTensor` if a tensor of a block was not read.
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
