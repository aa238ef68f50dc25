import Foundation
import Images
import Model
import TestSupport
import Testing

/// preprocessor_config.json, compared with transformers' processors that compute with Pillow.
struct ImageProcessorTests {
  struct Processed: Decodable, Sendable, CustomTestStringConvertible {
    let image, settings: String
    let shape: [Int]
    let step: Int
    let values: Data
    var testDescription: String { "\(image) \(settings)" }

    static let all: [Processed] = {
      let path = ModelFixture.path("ImagesTests/Fixtures/processed.json")
      let data = try? Data(contentsOf: URL(fileURLWithPath: path))
      return data.flatMap { try? JSONDecoder().decode([Processed].self, from: $0) } ?? []
    }()

    var numbers: [Float] {
      values.withUnsafeBytes { bytes in
        (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
      }
    }
  }

  private static func image(_ name: String) throws -> RGBImage {
    let path = ModelFixture.path("ImagesTests/Fixtures/\(name)")
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    return try data.withUnsafeBytes { try RGBImage(decoding: $0, file: path) }
  }

  private static func processor(
    _ settings: String, channels: Int = 3, in scratch: ScratchFolder
  ) throws -> ImageProcessor {
    try ImageProcessor(
      scratch.write(Array(settings.utf8), to: "preprocessor_config.json"), channels: channels)
  }

  @Test func allAreThere() { #expect(Processed.all.count == 36) }

  /// JPEG agrees within one level of 255, by which decoders may differ; PNG to a few rounding errors of single
  /// precision.
  @Test(arguments: Processed.all) func reference(_ expected: Processed) throws {
    let scratch = try ScratchFolder()
    let processor = try Self.processor(
      expected.settings, channels: expected.shape[0], in: scratch)
    let pixels = try processor.pixelValues(of: Self.image(expected.image))
    try #require([pixels.channels, pixels.height, pixels.width] == expected.shape)
    let found = (0..<pixels.channels * pixels.height).filter {
      $0 % pixels.height % expected.step == 0
    }
    .flatMap { pixels.values[$0 * pixels.width..<($0 + 1) * pixels.width] }
    let numbers = expected.numbers
    try #require(found.count == numbers.count)
    let isExact = expected.image.hasSuffix(".png")
    let black = RGBImage(width: 1, height: 1, pixels: [0, 0, 0])
    let dark = RGBImage(width: 1, height: 1, pixels: [1, 1, 1])
    let level = zip(
      try processor.pixelValues(of: black).values, try processor.pixelValues(of: dark).values
    ).map { abs($0 - $1) }.max()!
    for (a, b) in zip(found, numbers) {
      #expect(abs(a - b) <= (isExact ? 0 : 1.01 * level) + 4 * abs(b).ulp)
    }
  }

  /// Steps that change the pixels and are not supported, or are impossible, are refused.
  @Test(arguments: [
    (#"{"do_pad": true}"#, "do_pad"),
    (#"{"crop_pct": 0.9}"#, "crop_pct"),
    (#"{"do_flip_channel_order": true}"#, "do_flip_channel_order"),
    (#"{"data_format": "channels_last"}"#, "data_format"),
    (#"{"image_processor_type": "BlipImageProcessor"}"#, "image_processor_type"),
    (#"{"image_processor_type": "CLIP"}"#, "image_processor_type"),
    (
      #"{"image_processor_type": "CLIPImageProcessor", "use_square_size": true}"#, "use_square_size"
    ),
    (#"{"feature_extractor_type": "BeitFeatureExtractor"}"#, "feature_extractor_type"),
    (#"{"resample": 1}"#, "resample"),
    (#"{"resample": "bilinear"}"#, "resample"),
    (#"{"size": 0}"#, "size"),
    (#"{"size": "large"}"#, "size"),
    (#"{"size": [1, 2, 3]}"#, "size"),
    (#"{"size": 1000000}"#, "size"),
    (#"{"size": {"shortest_edge": 3, "longest_edge": 4}}"#, "size"),
    (#"{"do_center_crop": true}"#, "crop_size"),
    (#"{"do_center_crop": true, "crop_size": {"shortest_edge": 3}}"#, "crop_size"),
    (#"{"do_resize": 1}"#, "do_resize"),
    (#"{"image_mean": [0.5]}"#, "image_mean"),
    (#"{"image_std": 0}"#, "image_std"),
    (#"{"rescale_factor": 1e300}"#, "rescale_factor"),
  ])
  func refused(_ settings: String, _ key: String) throws {
    let scratch = try ScratchFolder()
    let error = #expect(throws: ModelError.self) {
      try Self.processor(settings, in: scratch)
    }
    let message = "\(try #require(error))"
    #expect(
      message.contains("\(key)") && message.contains("preprocessor_config.json"), "\(message)")
  }

  /// A file that names no processor uses that of the model's type.
  @Test(arguments: [
    ("clip_vision_model", "CLIPImageProcessor"),
    ("siglip_vision_model", "SiglipImageProcessorFast"),
    ("dinov2", "BitImageProcessor"), ("dinov2_with_registers", "BitImageProcessorFast"),
    ("vit", "ViTFeatureExtractor"),
  ])
  func processorOfModel(_ modelType: String, _ name: String) throws {
    let scratch = try ScratchFolder()
    let image = try Self.image("rgb-8.png")
    let named = try Self.processor(#"{"image_processor_type": "\#(name)"}"#, in: scratch)
    let unnamed = try ImageProcessor(
      scratch.write(Array("{}".utf8), to: "other.json"), modelType: modelType)
    #expect(try unnamed.pixelValues(of: image) == named.pixelValues(of: image))
  }

  /// A step that is off counts as absent.
  @Test func neutral() throws {
    let scratch = try ScratchFolder()
    _ = try Self.processor(
      #"{"do_pad": false, "crop_pct": null, "size": null, "resample": null, "do_convert_rgb": true}"#,
      in: scratch)
  }

  /// A size within the bounds that makes an image too large is refused.
  @Test func tooLarge() throws {
    let scratch = try ScratchFolder()
    let tall = RGBImage(width: 1, height: 5000, pixels: .init(repeating: 0, count: 15000))
    let processor = try Self.processor(
      #"{"size": {"height": 6000, "width": 65536}}"#, in: scratch)
    let shortest = try Self.processor(
      #"{"size": {"shortest_edge": 60000}}"#, in: scratch)
    for processor in [processor, shortest] {
      let error = #expect(throws: ModelError.self) { try processor.pixelValues(of: tall) }
      #expect(error.map { "\($0)".contains("\"size\"") } == true)
    }
  }
}
