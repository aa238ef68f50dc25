import Files
import Foundation

/// A file that is written piece by piece and appears under its name once it is complete. Until then it is a temporary file
/// in the same folder, which is removed if the writer goes away without finishing.
final class AtomicFile {
  /// The path that the file will have.
  let path: String
  /// The number of bytes appended so far.
  private(set) var count = 0
  private let temporary: String
  private let descriptor: CInt
  private var buffer: [UInt8] = []
  private var isOpen = true

  /// The number of bytes collected before they are written.
  static let bufferSize = 1 << 20

  /// Creates the temporary file. Throws `FileError.cannotWrite`.
  init(_ path: String) throws(FileError) {
    let temporary = "\(path).\(getpid())-\(UInt32.random(in: 0 ... .max)).tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw .cannotWrite(file: path, reason: String(cString: strerror(errno)))
    }
    (self.path, self.temporary, self.descriptor) = (path, temporary, descriptor)
  }

  deinit {
    guard isOpen else { return }
    close(descriptor)
    unlink(temporary)
  }

  /// Appends bytes. Throws `FileError.cannotWrite`.
  func append(_ bytes: some Collection<UInt8>) throws(FileError) {
    buffer.append(contentsOf: bytes)
    count += bytes.count
    if buffer.count >= Self.bufferSize { try flush() }
  }

  /// Appends what `write` adds to the buffer. Throws `FileError.cannotWrite`.
  func append(_ write: (inout [UInt8]) -> Void) throws(FileError) {
    let before = buffer.count
    write(&buffer)
    count += buffer.count - before
    if buffer.count >= Self.bufferSize { try flush() }
  }

  /// Appends zeros as a hole, which takes no disk space. Throws `FileError.cannotWrite`.
  func appendHole(bytes: Int) throws(FileError) {
    try flush()
    count += bytes
    guard ftruncate(descriptor, off_t(count)) == 0, lseek(descriptor, 0, SEEK_END) >= 0 else {
      throw failure()
    }
  }

  /// Gives the file its name once its bytes are on disk. If `isDurable` is false it does not wait for the disk: the file
  /// then survives a crash of the process, but not one of the machine. Throws `FileError.cannotWrite`.
  func finish(isDurable: Bool = true) throws(FileError) {
    precondition(isOpen, "finished twice")
    try flush()
    guard !isDurable || fsync(descriptor) == 0 else { throw failure() }
    isOpen = false
    guard close(descriptor) == 0, rename(temporary, path) == 0 else {
      let error = failure()
      unlink(temporary)
      throw error
    }
  }

  private func flush() throws(FileError) {
    guard buffer.withUnsafeBytes({ writeAll($0, to: descriptor) }) else { throw failure() }
    buffer.removeAll(keepingCapacity: true)
  }

  private func failure() -> FileError {
    .cannotWrite(file: path, reason: String(cString: strerror(errno)))
  }
}
