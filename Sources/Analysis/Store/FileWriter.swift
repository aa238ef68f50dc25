import Files
import Foundation

/// A file in an output folder, written piece by piece under a temporary name and renamed when it is complete; an unfinished
/// file is removed with its writer.
final class FileWriter {
  private let folder: OutputFolder
  private let file: String
  private let descriptor: CInt
  private var buffer = Data()
  private var isOpen = true

  /// The number of bytes collected before they are passed to the system.
  static let bufferSize = 1 << 18

  /// Creates the file. Throws `RunError.cannotWrite`.
  init(_ folder: OutputFolder, _ file: String) throws(RunError) {
    (self.folder, self.file) = (folder, file)
    descriptor = open(
      "\(folder.path)/\(file).tmp", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw folder.failure() }
  }

  deinit { discard() }

  /// Removes the file, unless it is finished.
  func discard() {
    guard isOpen else { return }
    isOpen = false
    close(descriptor)
    unlink(temporary)
  }

  private var temporary: String { "\(folder.path)/\(file).tmp" }

  /// Appends text. Throws `RunError.cannotWrite`.
  func write(_ text: String) throws(RunError) {
    buffer.append(contentsOf: text.utf8)
    if buffer.count >= Self.bufferSize { try flush() }
  }

  /// Appends bytes. Throws `RunError.cannotWrite`.
  func write(_ data: Data) throws(RunError) {
    buffer.append(data)
    if buffer.count >= Self.bufferSize { try flush() }
  }

  /// Appends everything written to another file so far. Throws `RunError.cannotWrite`.
  func copy(_ other: FileWriter) throws(RunError) {
    try other.flush()
    try flush()
    var piece = [UInt8](repeating: 0, count: Self.bufferSize)
    var offset: off_t = 0
    while true {
      let count = pread(other.descriptor, &piece, piece.count, offset)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw folder.failure() }
      guard count > 0 else { return }
      offset += off_t(count)
      try write(Data(piece[..<count]))
    }
  }

  /// Gives the file its final name, in `folder` if one is given, after its bytes have reached the disk, so that a full disk is
  /// detected here and not later. Throws `RunError.cannotWrite`.
  func finish(into folder: String? = nil) throws(RunError) {
    try flush()
    guard fsync(descriptor) == 0,
      rename(temporary, "\(folder ?? self.folder.path)/\(file)") == 0
    else { throw self.folder.failure() }
    isOpen = false
    close(descriptor)
  }

  private func flush() throws(RunError) {
    guard buffer.withUnsafeBytes({ writeAll($0, to: descriptor) }) else { throw folder.failure() }
    buffer.removeAll(keepingCapacity: true)
  }
}
