import Files
import Foundation

/// An unnamed file in the folder for temporary files (`TMPDIR`), which is written and then mapped. It disappears when it is
/// closed, however the process ends.
struct ScratchFile: ~Copyable, Sendable {
  /// The folder, for messages.
  let folder: String
  private let descriptor: CInt
  private let count: Int

  /// Creates a file of `count` zero bytes. Throws `FileError.cannotWrite`.
  init(count: Int) throws(FileError) {
    folder = FileManager.default.temporaryDirectory.path
    self.count = count
    var name = Array("\(folder)/krylens.XXXXXX".utf8CString)
    descriptor = mkstemp(&name)
    guard descriptor >= 0 else { throw Self.failure(folder, count) }
    unlink(name)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    // An empty file cannot be mapped.
    guard ftruncate(descriptor, off_t(max(count, 1))) == 0 else {
      throw Self.failure(folder, count)
    }
  }

  deinit { close(descriptor) }

  /// Writes bytes, on any thread. Throws `FileError.cannotWrite`, for example when the disk is full.
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

  /// Maps the file into memory. Throws `FileError.cannotRead`.
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
      reason: "\(String(cString: strerror(errno))); \(gigabytes) are needed in this folder, or in "
        + "another one that TMPDIR names")
  }
}
