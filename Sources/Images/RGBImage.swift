import CImages

/// An RGB image with 8 bits per channel.
public struct RGBImage: Sendable, Equatable {
  /// The number of pixels in a row.
  public let width: Int
  /// The number of rows.
  public let height: Int
  /// (height, width, 3): red, green, blue.
  public let pixels: [UInt8]

  /// The most bytes an image may have, 2²⁸: the number from which Pillow warns of a decompression bomb.
  public static let byteLimit = 1 << 28
  /// The most pixels a side may have. It is libpng's limit; decoders work row by row.
  public static let longestSide = 1_000_000

  /// An image with these pixels. Precondition: both sides are at least 1, and there are 3 · width · height bytes.
  public init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(
      width > 0 && height > 0 && pixels.count == 3 * width * height, "three bytes per pixel")
    (self.width, self.height) = (width, height)
    self.pixels = pixels
  }

  /// Decodes a PNG or JPEG file, recognised by its first bytes, and turns it upright according to its EXIF orientation.
  ///
  /// The colours are those of Pillow's `convert("RGB")`: grey and palette images become RGB, alpha and colour profiles are
  /// dropped, and CMYK is converted without a profile. Nothing is allocated for an image of more than `byteLimit` bytes;
  /// decoding a progressive JPEG takes two to three times the memory of the image. `file` is for messages. Throws
  /// `ImageError`.
  public init(
    decoding bytes: UnsafeRawBufferPointer, file: String, byteLimit: Int = Self.byteLimit
  ) throws(ImageError) {
    guard let format = ImageFormat(beginningOf: bytes), let start = bytes.baseAddress else {
      throw .unknownFormat(file: file)
    }
    var image = cim_image()
    image.bytes = start.assumingMemoryBound(to: UInt8.self)
    image.count = bytes.count
    func read(into pixels: UnsafeMutablePointer<UInt8>?) -> String? {
      withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(CIM_MESSAGE_LENGTH)) { message in
        (image.pixels, image.message) = (pixels, message.baseAddress)
        let isRead = format == .png ? cim_read_png(&image) : cim_read_jpeg(&image)
        return isRead == 1 ? nil : String(cString: message.baseAddress!)
      }
    }
    func damaged(_ reason: String) -> ImageError {
      .damaged(file: file, format: format.rawValue, reason: reason)
    }

    if let reason = read(into: nil) { throw damaged(reason) }
    let (width, height) = (Int(image.width), Int(image.height))
    guard width > 0 && height > 0 else { throw damaged("it has no pixels") }
    guard
      max(width, height) <= Self.longestSide, width * height <= byteLimit / 3
    else { throw .tooLarge(file: file, width: width, height: height, byteLimit: byteLimit) }
    var reason: String?
    let pixels = [UInt8](unsafeUninitializedCapacity: 3 * width * height) { buffer, count in
      reason = read(into: buffer.baseAddress)
      count = reason == nil ? 3 * width * height : 0
    }
    if let reason { throw damaged(reason) }
    let orientation = Orientation(of: bytes, format)
    self = RGBImage(width: width, height: height, pixels: pixels).turned(upright: orientation)
  }
}

extension RGBImage {
  /// The image with the luma of each pixel in all three channels: 0.299 R + 0.587 G + 0.114 B, with weights in units of
  /// 2⁻¹⁶, rounded as by Pillow's `convert("L")`. A grey image is unchanged. ITU-R BT.601.
  public var grey: RGBImage {
    var grey = pixels
    for i in stride(from: 0, to: pixels.count, by: 3) {
      let luma =
        19595 * UInt32(pixels[i]) + 38470 * UInt32(pixels[i + 1]) + 7471 * UInt32(pixels[i + 2])
      let level = UInt8((luma + 1 << 15) >> 16)
      for colour in 0..<3 { grey[i + colour] = level }
    }
    return RGBImage(width: width, height: height, pixels: grey)
  }
}

/// The format of an image file, recognised by its first bytes.
enum ImageFormat: String {
  case png = "PNG"
  case jpeg = "JPEG"

  static let pngSignature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  init?(beginningOf bytes: UnsafeRawBufferPointer) {
    if bytes.starts(with: Self.pngSignature) {
      self = .png
    } else if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else {
      return nil
    }
  }
}
