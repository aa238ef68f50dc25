/// The division of an image into patches: the sides of both, in pixels.
struct PatchGrid: Sendable {
  let image: (height: Int, width: Int)
  let patch: (height: Int, width: Int)
  let channels: Int

  /// The number of patches. Pixels beyond the last whole patch are dropped, as by a convolution.
  var count: Int { (image.height / patch.height) * (image.width / patch.width) }

  /// Reads `image_size`, `patch_size` and `num_channels`. Throws `ModelError`.
  init(_ c: Configuration, patch fallback: Int, image side: Int = 224) throws(ModelError) {
    image = try c.sides("image_size", default: side)
    patch = try c.sides("patch_size", default: fallback)
    channels = try c.size("num_channels", default: 3)
    try c.check(
      patch.height <= image.height && patch.width <= image.width, "patch_size",
      "is larger than the image")
  }
}

extension Configuration {
  /// Height and width, given as one number for both or an array of two.
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

extension EncoderReader {
  /// Reads the convolution that computes features of patches, as a linear map of a patch's pixels.
  func patches(_ name: String, _ grid: PatchGrid, bias: Bool = true) throws -> LinearWeights {
    LinearWeights(
      weights: try weights.kernel(
        "\(name).weight", shape: [width, grid.channels, grid.patch.height, grid.patch.width]),
      bias: bias ? try weights.vector("\(name).bias", count: width) : nil)
  }
}
