import Weights
import Autodiff

extension FamilyDefinition {
  /// DINOv2, with or without registers: ViT with a factor per feature on what each half adds to the stream; the
  /// largest model has a gated MLP. Registers are tokens without positions after the class token.
  ///
  /// Oquab et al., arXiv 2304.07193; Darcet et al., arXiv 2309.16588.
  public static let dinov2 = FamilyDefinition(
    "dinov2", modelTypes: ["dinov2", "dinov2_with_registers"],
    residual: DecoderBlock.Arrangement.sequential.residual
      + "; token 0 is the class token, then come the registers, if any, and the patches "
      + "row by row",
    initialisation: .dinov2
  ) { try VisionModel(dinov2: $0) }
}

extension VisionModel {
  fileprivate init(dinov2 file: ModelFile) throws {
    let c = file.configuration
    let weights = file.weights(
      prefix: file.modelType + ".", alternatives: [""], probe: "embeddings.cls_token")
    let hasRegisters = file.modelType == "dinov2_with_registers"
    let r = try EncoderReader(dinov2: c, weights)
    let grid = try PatchGrid(c, patch: hasRegisters ? 16 : 14)
    let registers = hasRegisters ? try c.count("num_register_tokens", default: 4) : 0
    let bias = try c.flag("qkv_bias", default: true)
    let isGated = try c.flag("use_swiglu_ffn", default: false)
    try c.refuseUnread()

    let stem = file.modelType + "."
    let embeddings = stem + "embeddings."
    try self.init(
      file, r,
      embedding: Embedding(
        grid: grid,
        projection: try r.patches(embeddings + "patch_embeddings.projection", grid),
        classToken: try weights.numbers(embeddings + "cls_token", shape: [1, 1, r.width]),
        registers: registers == 0
          ? []
          : try weights.numbers(
            embeddings + "register_tokens", shape: [1, registers, r.width]),
        positions: try weights.numbers(
          embeddings + "position_embeddings", shape: [1, 1 + grid.count, r.width])),
      blocks: try r.blocks(
        of: stem, .sequential, .dinov2, bias: bias, feedForward: isGated ? r.gatedMLP : nil),
      norm: try r.norm(stem + "layernorm"))
  }
}

extension EncoderReader {
  /// Reads the sizes. The MLP's width is a multiple of the stream's; if gated, two thirds of that, rounded to a
  /// multiple of 8.
  fileprivate init(dinov2 c: Configuration, _ weights: WeightReader) throws(ModelError) {
    let width = try c.size("hidden_size", default: 768)
    let ratio = try c.size("mlp_ratio", default: 4)
    try c.check(ratio <= 1 << 16, "mlp_ratio", "is more than 2¹⁶")
    let isGated = try c.flag("use_swiglu_ffn", default: false)
    let heads = try c.size("num_attention_heads", default: 12)
    _ = try c.headDimension(width: width, heads: heads)
    c.understand("is_causal")
    let plain = width * ratio
    self.init(
      weights, layers: try c.size("num_hidden_layers", default: 12), width: width,
      feedForwardWidth: isGated ? (2 * plain / 3 + 7) / 8 * 8 : plain, heads: heads,
      epsilon: try c.positive("layer_norm_eps", default: 1e-6),
      activation: isGated ? .silu : try Activation(c, "hidden_act", default: "gelu"))
  }

  /// Reads an MLP whose gate and up are in one matrix.
  fileprivate func gatedMLP(_ block: WeightReader) throws -> any FeedForward {
    let inner = feedForwardWidth
    let both = try block.linear(
      "mlp.weights_in", outputs: 2 * inner, inputs: width, bias: true)
    return MLPWeights(
      gate: both.outputs(0..<inner), up: both.outputs(inner..<2 * inner),
      down: try block.linear("mlp.weights_out", outputs: width, inputs: inner, bias: true),
      activation: activation)
  }
}

extension EncoderReader.Names {
  fileprivate static let dinov2 = bert(
    attentionNorm: "norm1", projections: "attention.attention", mlpNorm: "norm2", up: "mlp.fc1",
    down: "mlp.fc2", scales: ("layer_scale1.lambda1", "layer_scale2.lambda1"))
}

extension Initialisation {
  /// ViT's initialisation; the scales of a block's halves are all equal at first, and registers are 0.
  fileprivate static let dinov2 = Initialisation(
    hasPadding: false,
    exceptions: { file, deviation in
      let scale = try file.configuration.number("layerscale_value", default: 1)
      return try vit.exceptions(file, deviation) + [
        (".lambda1", .constant(Float(scale))), ("register_tokens", .constant(0)),
      ]
    })
}
