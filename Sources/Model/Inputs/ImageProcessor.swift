import Files
import Checkpoint
import Images

/// What is done to an image before a vision transformer sees it, as preprocessor_config.json says: it is scaled, cropped,
/// and its colours 0…255 become (v · rescale_factor − mean) / std.
///
/// Keys and defaults are those of transformers' ViTImageProcessor and DeiTImageProcessor, whose models differ in nothing
/// else, in their form that computes with Pillow.
public struct ImageProcessor: Sendable {
  /// The file, for messages.
  private let file: String
  /// Of the model: 3, or 1 for grey.
  private let channels: Int
  /// nil: not scaled.
  private let size: Size?
  private let resampling: Resampling
  /// nil: not cropped.
  private let crop: (height: Int, width: Int)?
  /// (channels, 256): what each level of each colour becomes.
  private let levels: [[Float]]

  private enum Size {
    case sides(height: Int, width: Int)
    /// The shorter side; the other keeps the ratio, rounded down.
    case shortestEdge(Int)
  }

  /// What a kind of processor does where the file is silent.
  private struct Defaults {
    let side: Int
    let resampling: Resampling
    /// Where it is cropped unless the file says otherwise.
    let crop: Int?

    /// By the names files call it by, the older ones included.
    init?(of processor: String) {
      switch processor {
      case "ViTImageProcessor", "ViTImageProcessorFast", "ViTFeatureExtractor":
        (side, resampling, crop) = (224, .bilinear, nil)
      case "DeiTImageProcessor", "DeiTImageProcessorFast", "DeiTFeatureExtractor":
        (side, resampling, crop) = (256, .bicubic, 224)
      default: return nil
      }
    }
  }

  /// Keys of published files that change the pixels, and are not read here. All are off when false or absent.
  private static let unread = [
    "do_pad", "do_flip_channel_order", "do_thumbnail", "do_align_long_axis", "do_color_quantize",
    "do_image_splitting", "crop_pct", "ensure_multiple_of", "keep_aspect_ratio", "offset",
    "size_divisor",
  ]

  /// Reads a preprocessor_config.json for a model of 3 channels, or of 1: of an image it gets the luma, as if Pillow's
  /// `convert("L")` had come first. Throws `ModelError`, `FileError`.
  ///
  /// Precondition: 1 or 3 channels.
  public init(_ path: String, channels: Int = 3) throws {
    precondition(channels == 1 || channels == 3, "grey or colours")
    let c = Configuration(file: path, object: try ConfigurationFile(path).object)
    file = path
    self.channels = channels
    var name = "ViTImageProcessor"
    for key in ["feature_extractor_type", "image_processor_type"] {
      name = try c.text(key, default: name)
      try c.checkSupported(
        Defaults(of: name) != nil, key, "images are prepared as ViT's and DeiT's processors do it")
    }
    guard let defaults = Defaults(of: name) else {
      throw ModelError.badKey(file: path, key: "image_processor_type", reason: "is not known")
    }
    for key in Self.unread {
      let value = c.value([key])?.value
      try c.checkSupported(
        value == nil || value?.bool == false, key, "images are prepared without it")
    }
    let format = try c.text("data_format", default: "channels_first")
    try c.checkSupported(
      format == "channels_first", "data_format", "models read channels first")

    let isSquare = try c.flag("default_to_square", default: true)
    let size = try Self.size("size", c, isSquare: isSquare)
    let isResized = try c.flag("do_resize", default: true)
    self.size = isResized ? size ?? .sides(height: defaults.side, width: defaults.side) : nil
    let number = try c.optionalID("resample") ?? defaults.resampling.rawValue
    guard let resampling = Resampling(rawValue: number) else {
      throw ModelError.unsupportedKey(
        file: path, key: "resample", value: "\(number)",
        reason: "0 is nearest, 2 bilinear, 3 bicubic")
    }
    self.resampling = resampling

    if try c.flag("do_center_crop", default: defaults.crop != nil) {
      switch try Self.size("crop_size", c, isSquare: true) {
      case .sides(let height, let width)?: crop = (height, width)
      case .shortestEdge?:
        throw ModelError.badKey(file: path, key: "crop_size", reason: "must be height and width")
      case nil:
        guard let side = defaults.crop else {
          throw ModelError.badKey(file: path, key: "crop_size", reason: "is missing")
        }
        crop = (side, side)
      }
    } else {
      crop = nil
    }
    levels = try Self.levels(c, channels: channels)
  }

  /// One number, [height, width], {height, width} or {shortest_edge}; nil if the key is absent.
  private static func size(
    _ key: String, _ c: Configuration, isSquare: Bool
  ) throws(ModelError) -> Size? {
    func side(_ value: JSONValue?) throws(ModelError) -> Int {
      guard let side = value?.int, (1...1 << 16).contains(side) else {
        throw .badKey(file: c.file, key: key, reason: "must hold integers from 1 to 2¹⁶")
      }
      return side
    }
    guard let value = c.value([key])?.value else { return nil }
    if let sides = value.array {
      try c.check(sides.count == 2, key, "must hold a height and a width")
      return .sides(height: try side(sides[0]), width: try side(sides[1]))
    }
    guard let object = value.object else {
      let side = try side(value)
      return isSquare ? .sides(height: side, width: side) : .shortestEdge(side)
    }
    let names = object.members.filter { !$0.value.isNull }.map(\.key).sorted()
    if names == ["shortest_edge"] { return .shortestEdge(try side(object["shortest_edge"])) }
    guard names == ["height", "width"] else {
      throw .unsupportedKey(
        file: c.file, key: key, value: "{\(names.joined(separator: ", "))}",
        reason: "a number, height and width, or shortest_edge are")
    }
    return .sides(height: try side(object["height"]), width: try side(object["width"]))
  }

  /// In the reference's precisions: scaled in double, rounded, normalised in single.
  private static func levels(
    _ c: Configuration, channels: Int
  ) throws(ModelError) -> [[Float]] {
    func colours(_ key: String) throws(ModelError) -> [Float] {
      guard let value = c.value([key])?.value else { return .init(repeating: 0.5, count: channels) }
      if value.array == nil { return .init(repeating: Float(try c.number(key)), count: channels) }
      let values = try c.numbers(key)
      let each = channels == 1 ? "the model has one channel" : "or one for red, green and blue"
      try c.check(values.count == channels, key, "must hold one number, \(each)")
      return values.map { Float($0) }
    }
    let factor =
      try c.flag("do_rescale", default: true)
      ? try c.number("rescale_factor", default: 1 / 255.0) : 1
    var levels = [[Float]](
      repeating: (0...255).map { Float(Double($0) * factor) }, count: channels)
    if try c.flag("do_normalize", default: true) {
      let (mean, deviation) = (try colours("image_mean"), try colours("image_std"))
      for i in 0..<channels { levels[i] = levels[i].map { ($0 - mean[i]) / deviation[i] } }
    }
    try c.check(
      levels.joined().allSatisfy(\.isFinite), "image_std",
      "gives, with image_mean and rescale_factor, pixel values that are not finite")
    return levels
  }

  /// An image as the model takes it. Throws `ModelError.badKey` where scaling it as the file says takes more memory than any
  /// image may (`RGBImage.byteLimit`).
  public func pixelValues(of image: RGBImage) throws(ModelError) -> PixelValues {
    // Grey has one level in all colours, and keeps it through what follows.
    var image = channels == 1 ? image.grey : image
    if let (height, width) = scaledSides(of: image) {
      guard let bytes = image.bytesToResize(width: width, height: height),
        bytes <= RGBImage.byteLimit
      else {
        throw .badKey(
          file: file, key: "size",
          reason: "asks to scale \(image.width) × \(image.height) pixels to \(width) × \(height), "
            + "which takes more than \(RGBImage.byteLimit) bytes")
      }
      image = image.resized(width: width, height: height, resampling)
    }
    if let crop { image = image.cropped(width: crop.width, height: crop.height) }
    let count = image.width * image.height
    var values: [Float] = []
    values.reserveCapacity(channels * count)
    for (colour, level) in levels.enumerated() {
      for pixel in 0..<count { values.append(level[Int(image.pixels[3 * pixel + colour])]) }
    }
    return PixelValues(
      channels: channels, height: image.height, width: image.width, values: values)
  }

  private func scaledSides(of image: RGBImage) -> (height: Int, width: Int)? {
    switch size {
    case nil: return nil
    case .sides(let height, let width)?: return (height, width)
    case .shortestEdge(let edge)?:
      // A product of at most 2¹⁶ and a side, 10⁶, divided as the reference does it.
      let (short, long) = (min(image.width, image.height), max(image.width, image.height))
      let other = Int(Double(edge * long) / Double(short))
      return image.width <= image.height ? (other, edge) : (edge, other)
    }
  }
}
