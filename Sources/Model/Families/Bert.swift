import Files
import Weights
import Autodiff
import Checkpoint
import LinearAlgebra

extension FamilyDefinition {
  /// BERT; see `Bert`.
  public static let bert = FamilyDefinition(
    "bert",
    residual: DecoderBlock.Arrangement.normAfter.residual
      + "; no norm follows the last block, so the last block normed is the same as residual",
    gguf: .bert,
    initialisation: Initialisation(isTied: true, paddingToken: 0)
  ) { try Bert($0) }
}

/// BERT: an encoder whose blocks normalise after each sum instead of before each half.
///
/// A block is X ↦ Z = norm(X + attention X), F = norm(Z + mlp Z), every token seeing all others. f = F − X, although the
/// block has no path along which X passes unchanged; attention's half is Z − X, the MLP's F − Z. X⁰ is the normalised sum
/// of the embeddings of words, positions and the first token type. The last block ends in its own norm and none follows,
/// so its Jacobian after the final norm is the plain one.
/// Devlin et al., arXiv 1810.04805.
struct Bert: Transformer {
  /// What predicts masked words: U norm(φ(W x)) + c.
  struct Head: Sendable {
    let transform: LinearWeights
    let activation: Activation
    let norm: LayerNormWeights
    let output: LinearWeights
  }

  let description: ModelDescription
  let source: any TensorSource
  let words, positions: StoredMatrix
  /// The embedding of the token type all tokens have here, the first.
  let type: [Float]
  let norm: LayerNormWeights
  let layers: [DecoderBlock]
  /// Absent in checkpoints of the bare encoder.
  let head: Head?

  /// Reads a model of this family. Throws `ModelError`, `FileError`.
  init(_ file: ModelFile) throws {
    let c = file.configuration
    let weights = file.weights(
      prefix: "bert.", alternatives: [""], probe: "embeddings.word_embeddings.weight")
    let r = try EncoderReader(c, weights)
    let limit = try c.size("max_position_embeddings", default: 512)
    let types = try c.size("type_vocab_size", default: 2)
    let vocabulary = try c.size("vocab_size", default: 30522)
    let isTied = try c.flag("tie_word_embeddings", default: true)
    let scheme = try c.text("position_embedding_type", default: "absolute")
    guard scheme == "absolute" else {
      throw ModelError.unsupportedKey(
        file: c.file, key: "position_embedding_type", value: "\"\(scheme)\"",
        reason: "known is absolute")
    }
    let causal = "attention.causal"
    try c.checkSupported(
      try !c.flag(causal, default: false), causal, "every token sees all others")
    try c.refuseUnread()

    let embedding = { (name: String, rows: Int) in
      try weights.matrix("bert.embeddings.\(name)_embeddings.weight", rows: rows, columns: r.width)
    }
    words = try embedding("word", vocabulary)
    positions = try embedding("position", limit)
    type = try embedding("token_type", types).row(0)
    norm = try r.norm("bert.embeddings.LayerNorm")
    layers = try r.blocks(
      of: "bert.", .normAfter, attentionNorm: "attention.output.LayerNorm",
      projections: "attention.self",
      mlpNorm: "output.LayerNorm")
    head = try Self.head(r, words, isTied: isTied)
    source = file.tensors
    description = ModelDescription(
      of: file, layers: r.layers, width: r.width,
      vocabulary: vocabulary, heads: r.heads, keyValueHeads: r.heads,
      feedForwardWidth: r.feedForwardWidth,
      positions: limit,
      isCausal: false)
  }

  /// The head of a masked language model, if the checkpoint has one. Its bias went by two names.
  private static func head(
    _ r: EncoderReader, _ words: StoredMatrix, isTied: Bool
  ) throws -> Head? {
    let name = "cls.predictions."
    guard r.weights.contains(name + "transform.dense.weight"),
      var output = try r.weights.head(name + "decoder", tied: isTied, to: words)
    else { return nil }
    let bias = r.weights.contains(name + "decoder.bias") ? "decoder.bias" : "bias"
    output.bias = try r.weights.vector(name + bias, count: words.rows)
    return Head(
      transform: try r.weights.linear(
        name + "transform.dense", outputs: r.width, inputs: r.width, bias: true),
      activation: r.activation, norm: try r.norm(name + "transform.LayerNorm"), output: output)
  }

  func tensorNames(ofBlock index: Int?) -> [String] {
    source.tensors.map(\.name).filter { blockNumber($0, after: EncoderReader.blockWords) == index }
  }

  func embed<S: RealScalar>(
    _ input: ModelInput, as precision: S.Type
  ) throws(ModelError) -> Variable<S> {
    let ids = input.tokens
    let sum: Variable<S> = try words.embed(ids) + positions.embed(Array(ids.indices))
    return norm(sum.adding(type.map { S($0) }))
  }

  func block(_ index: Int) -> any ResidualBlock { layers[index] }

  func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S> { x }

  func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>? {
    head.map { $0.output($0.norm($0.transform(x).activated(by: $0.activation))) }
  }
}

extension GGUFDialect {
  /// Of the encoder alone: heads are left out.
  fileprivate static let bert = GGUFDialect(
    architecture: "bert",
    names: [
      "bert.embeddings.word_embeddings": "token_embd",
      "bert.embeddings.position_embeddings": "position_embd",
      "bert.embeddings.token_type_embeddings": "token_types",
      "bert.embeddings.LayerNorm": "token_embd_norm",
    ].merging(
      inBlocks(
        "bert.encoder.layer.#.",
        [
          "attention.self.query": "attn_q", "attention.self.key": "attn_k",
          "attention.self.value": "attn_v", "attention.output.dense": "attn_output",
          "attention.output.LayerNorm": "attn_output_norm", "intermediate.dense": "ffn_up",
          "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
        ])
    ) { $1 },
    settings: { file in
      var settings: [String: JSONValue] = [:]
      settings["type_vocab_size"] = file.rows("token_types.weight")
      return settings
    })
}
