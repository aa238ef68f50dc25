import Autodiff
import Checkpoint
import Foundation

extension FamilyDefinition {
  /// Apertus: the block of Llama with norms of the heads' queries and keys, and an MLP without a gate whose
  /// activation, xIELU, has learned parameters in every block.
  ///
  /// X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z). Apertus Team, arXiv 2509.14233.
  public static let apertus = FamilyDefinition(
    "apertus", gguf: .apertus, initialisation: .apertus
  ) { try DecoderModel(apertus: $0) }
}

extension DecoderModel {
  fileprivate init(apertus file: ModelFile) throws {
    let c = file.configuration
    // A learned activation is separate for each block.
    let isLearned = try c.text("hidden_act", default: "xielu") == "xielu"
    var s = try DecoderSettings(
      c,
      .init(feedForwardWidth: 14336, positions: 65536, epsilon: 1e-5, theta: 12_000_000),
      activation: isLearned ? .relu : nil)
    if file.format == .huggingFace, c.value(["rope_scaling", "rope_parameters"]) == nil {
      s.rotary = RotaryFrequencies(
        dimension: s.headDimension, theta: 12_000_000,
        scaling: .llama3(factor: 8, low: 1, high: 4, trained: 8192))
    }
    s.attentionBias = try c.flag("attention_bias", default: false)
    // The norms are present whatever the key says.
    c.understand("qk_norm")
    let curves = isLearned && file.format == .gguf ? try c.curves(blocks: s.layers) : nil
    try c.refuseUnread()
    let reader = DecoderReader(file, s)
    try self.init(file, reader, norm: reader.norm("model.norm")) { block, l in
      var mlp = try block.mlp(isGated: false)
      if isLearned { mlp.activation = .xielu(try curves?[l] ?? XIELU(block.weights)) }
      return DecoderBlock(
        mixerNorm: try block.norm("attention_layernorm"), mixer: try block.attention(norms: .each),
        feedForwardNorm: try block.norm("feedforward_layernorm"), feedForward: mlp)
    }
  }
}

extension XIELU {
  /// Reads the parameters of a block's tensors.
  fileprivate init(_ block: WeightReader) throws {
    let parameter = { (name: String, shape: [Int]) in
      Double(try block.numbers("mlp.act_fn.\(name)", shape: shape)[0])
    }
    self.init(
      storedPositive: try parameter("alpha_p", [1]), storedNegative: try parameter("alpha_n", [1]),
      slope: try parameter("beta", []), limit: try parameter("eps", []))
  }
}

extension Configuration {
  /// The parameters of all blocks, as GGUF stores them.
  fileprivate func curves(blocks: Int) throws(ModelError) -> [XIELU] {
    func parameters(_ name: String) throws(ModelError) -> [Double] {
      let numbers = try numbers("xielu.\(name)")
      try check(numbers.count == blocks, "xielu.\(name)", "must have one number per block")
      return numbers
    }
    let (positive, negative) = (try parameters("alpha_p"), try parameters("alpha_n"))
    let (slope, limit) = (try parameters("beta"), try parameters("eps"))
    return positive.indices.map {
      XIELU(
        storedPositive: positive[$0], storedNegative: negative[$0], slope: slope[$0],
        limit: limit[$0])
    }
  }
}

extension GGUFDialect {
  fileprivate static let apertus = GGUFDialect(
    architecture: "apertus",
    names: decoder(
      with: headNorms.merging([
        "attention_layernorm": "attn_norm", "feedforward_layernorm": "ffn_norm",
      ]) { $1 }),
    epsilon: "attention.layer_norm_rms_epsilon", settings: { $0.biases() })
}

extension Initialisation {
  /// Both curvatures are initially 0.8; the stored α⁻ does not include β.
  fileprivate static let apertus = Initialisation(
    paddingToken: 3,
    exceptions: { _, _ in
      [
        ("alpha_p", .constant(log(expm1(0.8)))), ("alpha_n", .constant(log(expm1(0.3)))),
        ("act_fn.beta", .constant(0.5)),
        ("act_fn.eps", .constant(-1e-6)),
      ]
    })
}
