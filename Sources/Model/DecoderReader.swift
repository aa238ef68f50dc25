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

  /// Of a Hugging Face folder, with or without the prefix `model.`.
  init(_ file: ModelFile, _ settings: DecoderSettings, gainOffset: Double = 0) {
    self.init(
      WeightReader(
        file.tensors, prefix: "model.", alternatives: ["", "transformer."],
        probe: "embed_tokens.weight"),
      settings, gainOffset: gainOffset)
  }

  /// A part of a block; without its number, of the model.
  private func name(_ part: String, _ block: Int?) -> String {
    block.map { "model.layers.\($0).\(part)" } ?? "model.\(part)"
  }

  /// The RMSNorm of this name, of a block or of the model; of `count` gains, or of the width.
  func norm(_ part: String, ofBlock block: Int? = nil, count: Int? = nil) throws -> RMSNormWeights {
    RMSNormWeights(
      gain: try weights.vector(name(part, block) + ".weight", count: count ?? settings.width),
      offset: gainOffset, epsilon: settings.epsilon)
  }

  func linear(
    _ part: String, ofBlock block: Int, outputs: Int, inputs: Int, bias: Bool = false
  ) throws -> LinearWeights {
    try weights.linear(name(part, block), outputs: outputs, inputs: inputs, bias: bias)
  }

  /// `q_proj`, `k_proj`, `v_proj`, `o_proj`; the last has a bias where the others do unless `outputBias` says otherwise.
  func attention(
    ofBlock block: Int, window: Int? = nil, outputBias: Bool? = nil
  ) throws -> AttentionWeights {
    let s = settings
    let (queries, keys) = (s.heads * s.headDimension, s.keyValueHeads * s.headDimension)
    let projection = { (letter: String, outputs: Int) in
      try linear(
        "self_attn.\(letter)_proj", ofBlock: block, outputs: outputs, inputs: s.width,
        bias: s.attentionBias)
    }
    return attention(
      .separate(
        query: try projection("q", queries), key: try projection("k", keys),
        value: try projection("v", keys)),
      output: try linear(
        "self_attn.o_proj", ofBlock: block, outputs: s.width, inputs: queries,
        bias: outputBias ?? s.attentionBias),
      window: window)
  }

  /// The attention these projections make.
  func attention(
    _ projection: QueryKeyValue, output: LinearWeights, window: Int?
  ) -> AttentionWeights {
    AttentionWeights(
      heads: settings.heads, keyValueHeads: settings.keyValueHeads,
      headDimension: settings.headDimension, projection: projection, output: output,
      rotary: settings.rotary, neighboursPair: settings.neighboursPair, window: window)
  }

  /// `gate_proj`, `up_proj`, `down_proj`.
  func mlp(ofBlock block: Int) throws -> MLPWeights {
    let s = settings
    let part = { (name: String, outputs: Int, inputs: Int) in
      try linear(
        "mlp.\(name)_proj", ofBlock: block, outputs: outputs, inputs: inputs, bias: s.mlpBias)
    }
    return MLPWeights(
      gate: try part("gate", s.hidden, s.width), up: try part("up", s.hidden, s.width),
      down: try part("down", s.width, s.hidden), activation: s.activation)
  }

  /// A block with Llama's two norms, one before each half.
  func block(
    _ block: Int, _ attention: AttentionWeights, _ mlp: any FeedForward
  ) throws -> GatedDecoder.Block {
    GatedDecoder.Block(
      beforeAttention: try norm("input_layernorm", ofBlock: block), attention: attention,
      beforeMLP: try norm("post_attention_layernorm", ofBlock: block), mlp: mlp)
  }
}
