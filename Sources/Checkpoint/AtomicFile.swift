import Files
import Foundation

/// A file that is written piece by piece and appears under its name when it is whole; until then it is a temporary beside
/// it, which goes away with a writer that never finished.
final class AtomicFile {
  /// Where the file will be.
  let path: String
  /// Bytes appended so far.
  private(set) var count = 0
  private let temporary: String
  private let descriptor: CInt
  private var buffer: [UInt8] = []
  private var isOpen = true

  /// Bytes collected before they are handed to the system.
  static let bufferSize = 1 << 20

  /// Begins the file. Throws `FileError.cannotWrite`.
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

  /// Adds bytes. Throws `FileError.cannotWrite`.
  func append(_ bytes: some Collection<UInt8>) throws(FileError) {
    buffer.append(contentsOf: bytes)
    count += bytes.count
    if buffer.count >= Self.bufferSize { try flush() }
  }

  /// Adds what `write` appends to the buffer. Throws `FileError.cannotWrite`.
  func append(_ write: (inout [UInt8]) -> Void) throws(FileError) {
    let before = buffer.count
    write(&buffer)
    count += buffer.count - before
    if buffer.count >= Self.bufferSize { try flush() }
  }

  /// Gives the file its name, after its bytes have reached the disk; with `isDurable` false, the end of the process is
  /// survived, but not that of the machine. Throws `FileError.cannotWrite`.
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
