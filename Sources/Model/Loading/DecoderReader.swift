import Checkpoint
import LinearAlgebra

/// Reads the parts of a decoder under the names that Llama gave them and that the families close to it kept.
struct DecoderReader {
  let weights: WeightReader
  let settings: DecoderSettings
  /// What norms add to their stored gains.
  let gainOffset: Double

  init(_ weights: WeightReader, _ settings: DecoderSettings, gainOffset: Double = 0) {
    self.weights = weights
    self.settings = settings
    self.gainOffset = gainOffset
  }

  /// Of a folder, with or without the prefix `model.`, or of a GGUF file, whose norms store what they multiply by.
  init(_ file: ModelFile, _ settings: DecoderSettings, gainOffset: Double = 0) {
    var settings = settings
    settings.pairing = file.dialect?.pairing ?? .split
    self.init(
      file.weights(
        prefix: "model.", alternatives: ["", "transformer."], probe: "embed_tokens.weight"),
      settings, gainOffset: file.format == .gguf ? 0 : gainOffset)
  }

  /// The reader of block `l`.
  func block(_ l: Int) -> DecoderReader {
    DecoderReader(weights.scoped("model.layers.\(l)."), settings, gainOffset: gainOffset)
  }

  /// The RMSNorm of this name, with `count` gains or as many as the width.
  func norm(_ name: String, count: Int? = nil) throws -> RMSNormWeights {
    RMSNormWeights(
      gain: try weights.vector(name + ".weight", count: count ?? settings.width),
      offset: gainOffset, epsilon: settings.epsilon)
  }

  /// `q_proj`, `k_proj`, `v_proj`, `o_proj`; the last has a bias where the others do unless `outputBias` says otherwise.
  func attention(window: Int? = nil, outputBias: Bool? = nil) throws -> AttentionWeights {
    let s = settings
    let (queries, keys) = (s.heads * s.headDimension, s.keyValueHeads * s.headDimension)
    return attention(
      try weights.projections(
        "self_attn", queries: queries, keys: keys, inputs: s.width, bias: s.attentionBias),
      output: try weights.linear(
        "self_attn.o_proj", outputs: s.width, inputs: queries, bias: outputBias ?? s.attentionBias),
      window: window)
  }

  /// The attention these projections make.
  func attention(
    _ projection: QueryKeyValue, output: LinearWeights, window: Int?
  ) -> AttentionWeights {
    AttentionWeights(
      heads: settings.heads, keyValueHeads: settings.keyValueHeads,
      headDimension: settings.headDimension, projection: projection, output: output,
      rotary: settings.rotary, pairing: settings.pairing, window: window)
  }

  /// `gate_proj`, `up_proj`, `down_proj`.
  func mlp() throws -> MLPWeights {
    let s = settings
    let part = { (name: String, outputs: Int, inputs: Int) in
      try weights.linear("mlp." + name, outputs: outputs, inputs: inputs, bias: s.mlpBias)
    }
    return MLPWeights(
      gate: try part("gate_proj", s.feedForwardWidth, s.width),
      up: try part("up_proj", s.feedForwardWidth, s.width),
      down: try part("down_proj", s.width, s.feedForwardWidth), activation: s.activation)
  }

  /// A block with Llama's two norms, one before each half.
  func withNormsBefore(
    _ attention: AttentionWeights, _ mlp: any FeedForward
  ) throws -> GatedDecoder.Block {
    GatedDecoder.Block(
      beforeAttention: try norm("input_layernorm"), attention: attention,
      beforeMLP: try norm("post_attention_layernorm"), mlp: mlp)
  }
}
