/// What can be wrong with an image file. Each names the file and says what to do.
public enum ImageError: Error, Equatable, Sendable, CustomStringConvertible {
  /// It begins as neither PNG nor JPEG does.
  case unknownFormat(file: String)
  /// What the decoder found wrong.
  case damaged(file: String, format: String, reason: String)
  /// More pixels, or pixels a side, than are decoded.
  case tooLarge(file: String, width: Int, height: Int, byteLimit: Int)

  /// What is wrong, where, and what to do.
  public var description: String {
    switch self {
    case .unknownFormat(let file):
      "\(file): neither a PNG nor a JPEG file; convert it to one of these"
    case .damaged(let file, let format, let reason):
      "\(file): cannot be decoded as \(format) (\(reason)); the file is damaged or of a rare kind: "
        + "save it again from an image program"
    case .tooLarge(let file, let width, let height, let byteLimit):
      "\(file): says it has \(width) × \(height) pixels, and at most \(byteLimit) bytes of RGB and "
        + "\(RGBImage.longestSide) pixels a side are decoded; scale it down first"
    }
  }
}
