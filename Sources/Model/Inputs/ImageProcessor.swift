import Files
import Checkpoint
import Images

/// The preparation of an image for a vision transformer according to preprocessor_config.json: the image is scaled
/// and cropped, and its colours 0…255 become (v · rescale_factor − mean) / std.
///
/// Keys and defaults are those of transformers' processors for ViT, DeiT, CLIP, SigLIP and DINOv2 (there called Bit),
/// in their variants that compute with Pillow; they differ in nothing else.
public struct ImageProcessor: Sendable {
  /// The name of the file, for messages.
  private let file: String
  /// The number of channels of the model: 3, or 1 for grey.
  private let channels: Int
  /// The size to scale to; nil for no scaling.
  private let size: Size?
  private let resampling: Resampling
  /// The size to crop to; nil for no cropping.
  private let crop: (height: Int, width: Int)?
  /// The normalised value of each level of each colour, (channels, 256).
  private let levels: [[Float]]

  private enum Size {
    case sides(height: Int, width: Int)
    /// Scales the shorter side to this length; the other keeps the ratio, rounded down.
    case shortestEdge(Int)
  }

  /// The defaults of a kind of processor.
  private struct Defaults {
    var size: Size
    var resampling = Resampling.bicubic
    /// The size to crop to unless the file says otherwise; nil for no cropping.
    var crop: Int?
    /// Whether a single number for the size applies to both sides, rather than to the shorter one.
    var isSquare = true
    var mean: [Float] = [0.5, 0.5, 0.5]
    var deviation: [Float] = [0.5, 0.5, 0.5]

    /// The defaults of CLIP, also those of DINOv2, with no other numbers.
    private static let clip = Self(
      size: .shortestEdge(224), crop: 224, isSquare: false,
      mean: [0.48145466, 0.4578275, 0.40821073], deviation: [0.26862954, 0.26130258, 0.27577711])
    private static let kinds = [
      "ViT": Self(size: .sides(height: 224, width: 224), resampling: .bilinear),
      "DeiT": Self(size: .sides(height: 256, width: 256), crop: 224),
      "CLIP": clip, "Bit": clip,
      "Siglip": Self(size: .sides(height: 224, width: 224), isSquare: false),
    ]

    /// The defaults of a processor by the name that files use, including older names.
    static func named(_ processor: String) -> Defaults? {
      let endings = [
        "ImageProcessorFast", "ImageProcessorPil", "ImageProcessor", "FeatureExtractor",
      ]
      for ending in endings where processor.hasSuffix(ending) {
        return kinds[String(processor.dropLast(ending.count))]
      }
      return nil
    }
  }

  /// The processor for a model type whose file does not name one.
  private static func processor(ofType type: String) -> String {
    let kinds = [
      "clip_vision_model": "CLIP", "siglip_vision_model": "Siglip", "dinov2": "Bit",
      "dinov2_with_registers": "Bit",
    ]
    return (kinds[type] ?? "ViT") + "ImageProcessor"
  }

  /// Keys of published files that change the pixels and are not supported. All are off if false or absent.
  private static let unread = [
    "do_pad", "do_flip_channel_order", "do_thumbnail", "do_align_long_axis", "do_color_quantize",
    "do_image_splitting", "crop_pct", "ensure_multiple_of", "keep_aspect_ratio", "offset",
    "size_divisor", "use_square_size",
  ]

  /// Reads a preprocessor_config.json for a model of 3 channels, or of 1, which gets the luma of an image, as after
  /// Pillow's `convert("L")`. A file that names no processor uses that of `modelType`. Throws `ModelError`,
  /// `FileError`.
  ///
  /// Precondition: `channels` is 1 or 3.
  public init(_ path: String, channels: Int = 3, modelType: String = "vit") throws {
    precondition(channels == 1 || channels == 3, "a model has 1 channel or 3")
    let c = Configuration(file: path, object: try ConfigurationFile(path).object)
    file = path
    self.channels = channels
    var name = Self.processor(ofType: modelType)
    for key in ["feature_extractor_type", "image_processor_type"] {
      name = try c.text(key, default: name)
      try c.checkSupported(
        Defaults.named(name) != nil, key,
        "supported are the processors of ViT, DeiT, CLIP, SigLIP and DINOv2")
    }
    guard let defaults = Defaults.named(name) else {
      throw ModelError.badKey(file: path, key: "image_processor_type", reason: "is not known")
    }
    for key in Self.unread {
      let value = c.value([key])?.value
      try c.checkSupported(
        value == nil || value?.bool == false, key, "images are prepared without this step")
    }
    let format = try c.text("data_format", default: "channels_first")
    try c.checkSupported(
      format == "channels_first", "data_format", "models read channels first")

    let isSquare = try c.flag("default_to_square", default: defaults.isSquare)
    let size = try Self.size("size", c, isSquare: isSquare)
    let isResized = try c.flag("do_resize", default: true)
    self.size = isResized ? size ?? defaults.size : nil
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
    levels = try Self.levels(c, defaults, channels: channels)
  }

  /// The size given as one number, [height, width], {height, width} or {shortest_edge}; nil if the key is absent.
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

  /// The normalised value of each level, in the reference's precisions: scaled in double, rounded, normalised in
  /// single.
  private static func levels(
    _ c: Configuration, _ defaults: Defaults, channels: Int
  ) throws(ModelError) -> [[Float]] {
    func colours(_ key: String, _ fallback: [Float]) throws(ModelError) -> [Float] {
      guard let value = c.value([key])?.value else {
        try c.check(
          channels == 3 || Set(fallback).count == 1, key,
          "is missing, and the model has one channel")
        return Array(fallback.prefix(channels))
      }
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
      let mean = try colours("image_mean", defaults.mean)
      let deviation = try colours("image_std", defaults.deviation)
      for i in 0..<channels { levels[i] = levels[i].map { ($0 - mean[i]) / deviation[i] } }
    }
    try c.check(
      levels.joined().allSatisfy(\.isFinite), "image_std",
      "gives, with image_mean and rescale_factor, pixel values that are not finite")
    return levels
  }

  /// The pixel values of an image, as the model takes them. Throws `ModelError.badKey` if scaling it as the file says
  /// would take more memory than any image may (`RGBImage.byteLimit`).
  public func pixelValues(of image: RGBImage) throws(ModelError) -> PixelValues {
    // Grey has equal levels in all colours, which later steps preserve.
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
      // A product of at most 2¹⁶ and a side of up to 10⁶, divided in the same way as in the reference.
      let (short, long) = (min(image.width, image.height), max(image.width, image.height))
      let other = Int(Double(edge * long) / Double(short))
      return image.width <= image.height ? (other, edge) : (edge, other)
    }
  }
}
