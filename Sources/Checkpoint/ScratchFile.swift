import Files
import Foundation

/// A file without a name in the folder for temporary files (`TMPDIR`): written, then mapped, and gone with the last who
/// holds it open, however the process ends.
struct ScratchFile: ~Copyable, Sendable {
  /// The folder, for messages.
  let folder: String
  private let descriptor: CInt
  private let count: Int

  /// A file of `count` bytes, all 0. Throws `FileError.cannotWrite`.
  init(count: Int) throws(FileError) {
    folder = FileManager.default.temporaryDirectory.path
    self.count = count
    var name = Array("\(folder)/krylens.XXXXXX".utf8CString)
    descriptor = mkstemp(&name)
    guard descriptor >= 0 else { throw Self.failure(folder, count) }
    unlink(name)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    // A file has to have bytes to be mapped.
    guard ftruncate(descriptor, off_t(max(count, 1))) == 0 else {
      throw Self.failure(folder, count)
    }
  }

  deinit { close(descriptor) }

  /// Writes bytes, from any thread. Throws `FileError.cannotWrite`, when the disk is full for instance.
  func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes {
        pwrite(
          descriptor, $0.baseAddress! + written, $0.count - written, off_t(offset + written))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Self.failure(folder, self.count) }
      written += count
    }
  }

  /// The file in memory. Throws `FileError.cannotRead`.
  func mapped() throws(FileError) -> MappedFile {
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else {
      throw .cannotRead(file: folder, reason: String(cString: strerror(errno)))
    }
    return try MappedFile(descriptor: copy, path: "\(folder)/(temporary)")
  }

  private static func failure(_ folder: String, _ count: Int) -> FileError {
    let gigabytes = String(format: "%.2f GB", Double(count) / 1e9)
    return .cannotWrite(
      file: folder,
      reason: "\(String(cString: strerror(errno))); \(gigabytes) are needed here, or in the folder "
        + "that TMPDIR names")
  }
}
