import Autodiff
import Checkpoint
import LinearAlgebra

extension FamilyDefinition {
  /// The vision transformer; see `ViT`.
  public static let vit = FamilyDefinition(
    "vit",
    residual: DecoderBlock.Arrangement.sequential.residual
      + "; token 0 is the class token, the others are the patches row by row", initialisation: .vit
  ) { try ViT($0) }
}

/// The vision transformer: an encoder of an image's patches after a class token.
///
/// A block is X ↦ Z = X + attention(norm X), F = Z + mlp(norm Z), every token seeing all others; f = F − X. X⁰ has the
/// class token as token 0 and then the patches row by row, each a linear map of its pixels, plus learned positions.
/// Dosovitskiy et al., arXiv 2010.11929.
struct ViT: Transformer {
  let description: ModelDescription
  let source: any TensorSource
  /// Rows and columns of pixels of a patch.
  let patch: (height: Int, width: Int)
  /// Pixels of a patch, in the order of a convolution's kernel, to features.
  let projection: LinearWeights
  let classToken: [Float]
  /// (tokens, width)
  let positions: [Float]
  let layers: [DecoderBlock]
  let norm: LayerNormWeights

  /// Reads a model of this family. Throws `ModelError`, `FileError`.
  init(_ file: ModelFile) throws {
    let c = file.configuration
    let weights = WeightReader(
      file.tensors, prefix: "vit.", alternatives: [""], probe: "embeddings.cls_token")
    let r = try EncoderReader(c, weights)
    let image = try c.sides("image_size", default: 224)
    let patch = try c.sides("patch_size", default: 16)
    let channels = try c.size("num_channels", default: 3)
    let bias = try c.flag("qkv_bias", default: true)
    try c.check(
      patch.height <= image.height && patch.width <= image.width, "patch_size",
      "is larger than the image")
    try c.refuseUnread()
    let tokens = 1 + (image.height / patch.height) * (image.width / patch.width)

    let kernel = "vit.embeddings.patch_embeddings.projection"
    projection = LinearWeights(
      weights: try weights.kernel(
        "\(kernel).weight", shape: [r.width, channels, patch.height, patch.width]),
      bias: try weights.vector("\(kernel).bias", count: r.width))
    classToken = try weights.numbers("vit.embeddings.cls_token", shape: [1, 1, r.width])
    positions = try weights.numbers(
      "vit.embeddings.position_embeddings", shape: [1, tokens, r.width])
    layers = try r.blocks(
      of: "vit.", .sequential, attentionNorm: "layernorm_before",
      projections: "attention.attention",
      mlpNorm: "layernorm_after", bias: bias)
    norm = try r.norm("vit.layernorm")
    source = file.tensors
    self.patch = patch
    description = ModelDescription(
      of: file, layers: r.layers, width: r.width, vocabulary: 0,
      heads: r.heads, keyValueHeads: r.heads, feedForwardWidth: r.feedForwardWidth,
      positions: tokens,
      input: .image(channels: channels, height: image.height, width: image.width),
      isCausal: false)
  }

  func tensorNames(ofBlock index: Int?) -> [String] {
    source.tensors.map(\.name).filter { blockNumber($0, after: EncoderReader.blockWords) == index }
  }

  func embed<S: RealScalar>(
    _ input: ModelInput, as precision: S.Type
  ) throws(ModelError) -> Variable<S> {
    guard case .image(let image) = input else {
      throw .wrongInput(given: "tokens", needed: "\(description.input)")
    }
    let pixels: Matrix<S> = image.patches(height: patch.height, width: patch.width)
    let patches = projection(Variable(pixels)).value
    let tokens = classToken.map { S($0) } + patches.elements
    return Variable(
      Matrix(
        rows: 1 + patches.rows, columns: description.width,
        elements: zip(tokens, positions).map { $0 + S($1) }))
  }

  func block(_ index: Int) -> any ResidualBlock { layers[index] }

  func finalNorm<S: RealScalar>(_ x: Variable<S>) -> Variable<S> { norm(x) }

  /// Classes are no tokens.
  func logits<S: RealScalar>(_ x: Variable<S>) -> Variable<S>? { nil }
}

extension Configuration {
  /// Height and width: one number for both, or an array of two.
  fileprivate func sides(
    _ key: String, default fallback: Int
  ) throws(ModelError) -> (height: Int, width: Int) {
    guard let values = value([key])?.value.array else {
      let side = try size(key, default: fallback)
      return (side, side)
    }
    let sides = values.compactMap(\.int).filter { (1...1 << 16).contains($0) }
    try check(sides.count == 2 && values.count == 2, key, "must be a size, or two")
    return (sides[0], sides[1])
  }
}

extension Initialisation {
  /// What is added to the patches is cut off at 2, the limit and not the deviations.
  fileprivate static let vit = Initialisation(
    hasPadding: false,
    exceptions: { _, deviation in
      [
        ("position_embeddings", .normal(deviation: deviation, limit: 2)),
        ("cls_token", .normal(deviation: deviation, limit: 2)), ("mask_token", .constant(0)),
      ]
    })
}
