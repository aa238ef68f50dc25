import Autodiff

extension FamilyDefinition {
  /// DistilBERT: BERT without token types and with half as many blocks.
  ///
  /// Sanh et al., arXiv 1910.01108.
  public static let distilBERT = FamilyDefinition(
    "distilbert", residual: normedEncoder,
    initialisation: Initialisation(isTied: true, paddingToken: 0)
  ) { try EncoderModel(distilBERT: $0) }
}

extension EncoderModel {
  fileprivate init(distilBERT file: ModelFile) throws {
    let c = file.configuration
    let weights = file.weights(
      prefix: "distilbert.", alternatives: [""], probe: "embeddings.word_embeddings.weight")
    let width = try c.size("dim", "hidden_size", default: 768)
    let heads = try c.size("n_heads", "num_attention_heads", default: 12)
    try c.check(
      width % heads == 0, "n_heads", "is \(heads), which does not divide the width \(width)")
    let r = EncoderReader(
      weights, layers: try c.size("n_layers", "num_hidden_layers", default: 6), width: width,
      feedForwardWidth: try c.size("hidden_dim", default: 3072), heads: heads, epsilon: 1e-12,
      activation: try Activation(c, "activation", default: "gelu"))
    let limit = try c.size("max_position_embeddings", default: 512)
    let vocabulary = try c.size("vocab_size", default: 30522)
    let isTied = try c.flag("tie_word_embeddings", default: true)
    // Sinusoidal positions are stored in the same way as learned ones.
    c.understand("is_causal")
    try c.refuseUnread()

    let words = try r.table("distilbert.embeddings.word_embeddings", rows: vocabulary)
    try self.init(
      file, r,
      embedding: Embedding(
        words: words,
        positions: Positions(
          table: try r.table("distilbert.embeddings.position_embeddings", rows: limit)),
        norm: try r.norm("distilbert.embeddings.LayerNorm")),
      blocks: try r.blocks(of: "distilbert.", .normAfter, .distilBERT),
      head: try r.head(
        transform: "vocab_transform", norm: "vocab_layer_norm", output: "vocab_projector",
        bias: "vocab_projector.bias", activation: r.activation, words: words, isTied: isTied),
      blockWord: "transformer.layer.")
  }
}

extension EncoderReader.Names {
  fileprivate static let distilBERT = Self(
    blocks: "transformer.layer.", attentionNorm: "sa_layer_norm", query: "attention.q_lin",
    key: "attention.k_lin", value: "attention.v_lin", output: "attention.out_lin",
    mlpNorm: "output_layer_norm", up: "ffn.lin1", down: "ffn.lin2")
}
