/// What can be wrong with an image file. Every case names the file; the description says what to do about it.
public enum ImageError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The file is neither PNG nor JPEG, by its first bytes.
  case unknownFormat(file: String)
  /// The decoder failed; `reason` is its message.
  case damaged(file: String, format: String, reason: String)
  /// The image has more bytes than `byteLimit`, or a side longer than `RGBImage.longestSide`.
  case tooLarge(file: String, width: Int, height: Int, byteLimit: Int)

  /// What is wrong with which file, and what to do.
  public var description: String {
    switch self {
    case .unknownFormat(let file):
      "\(file): neither a PNG nor a JPEG file; convert it to one of these"
    case .damaged(let file, let format, let reason):
      "\(file): cannot be decoded as \(format) (\(reason)); the file is damaged or of an unusual "
        + "variant: save it again from an image editor"
    case .tooLarge(let file, let width, let height, let byteLimit):
      "\(file): \(width) × \(height) pixels are too many; at most \(byteLimit) bytes of RGB and "
        + "\(RGBImage.longestSide) pixels per side are decoded; scale the image down first"
    }
  }
}
