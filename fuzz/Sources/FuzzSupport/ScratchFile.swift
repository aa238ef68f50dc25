import Foundation

/// A file that is written anew for every input: the readers map files, and take paths.
public final class ScratchFile: Sendable {
  /// Where it is: `name` in a folder of this process.
  public let path: String
  private let descriptor: CInt

  /// Makes the file. There is no fuzzing without it, so failure ends the process.
  public init(_ name: String) {
    let folder = "\(NSTemporaryDirectory())krylens-fuzz-\(getpid())"
    path = "\(folder)/\(name)"
    try? FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    precondition(descriptor >= 0, "no scratch file at \(path)")
  }

  /// Makes the file hold these bytes and no others.
  public func hold(_ bytes: UnsafeRawBufferPointer) {
    let written = pwrite(descriptor, bytes.baseAddress, bytes.count, 0)
    precondition(
      written == bytes.count && ftruncate(descriptor, off_t(bytes.count)) == 0,
      "the scratch file cannot be written")
  }
}
