import Foundation

/// A file that is rewritten for every input, since the readers map files and take paths.
public final class ScratchFile: Sendable {
  /// The path of the file: `name` in a folder of this process.
  public let path: String
  private let descriptor: CInt

  /// Creates the file. Fuzzing needs it, so a failure ends the process.
  public init(_ name: String) {
    let folder = "\(NSTemporaryDirectory())krylens-fuzz-\(getpid())"
    path = "\(folder)/\(name)"
    try? FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    precondition(descriptor >= 0, "no scratch file at \(path)")
  }

  /// Replaces the contents of the file with these bytes.
  public func hold(_ bytes: UnsafeRawBufferPointer) {
    let written = pwrite(descriptor, bytes.baseAddress, bytes.count, 0)
    precondition(
      written == bytes.count && ftruncate(descriptor, off_t(bytes.count)) == 0,
      "the scratch file cannot be written")
  }
}
