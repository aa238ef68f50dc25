import Foundation

/// A folder that files are written into, each aside first and then renamed.
package struct OutputFolder {
  /// Where it is.
  package let path: String
  /// What the user called the place, for messages.
  let name: String
  /// Folders that were made on the way to it, outermost first.
  private let made: [String]

  /// Makes the folder, and those on the way to it that are not there. Throws `RunError.cannotWrite`; then none stays.
  package init(making path: String, name: String) throws(RunError) {
    self.path = path
    self.name = name
    var missing: [String] = []
    var folder = URL(fileURLWithPath: path)
    while !FileManager.default.fileExists(atPath: folder.path), folder.path != "/" {
      missing.append(folder.path)
      folder.deleteLastPathComponent()
    }
    var made: [String] = []
    for folder in missing.reversed() {
      if mkdir(folder, 0o777) == 0 {
        made.append(folder)
      } else if errno != EEXIST {
        let error = Self.failure(name)
        for folder in made.reversed() { rmdir(folder) }
        throw error
      }
    }
    self.made = made
  }

  /// Removes the folder with what is in it, and those that were made on the way to it, if they are empty.
  package func takeBack() {
    try? FileManager.default.removeItem(atPath: path)
    for folder in made.reversed() { rmdir(folder) }
  }

  /// By `write(2)` and `fsync(2)`, so that a full disk is found here, not later; then renamed, into `folder` if that is
  /// another. Throws `RunError.cannotWrite`.
  package func write(_ data: Data, to file: String, into folder: String? = nil) throws(RunError) {
    let temporary = "\(path)/\(file).tmp"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw failure() }
    defer { close(descriptor) }
    var written = 0
    while written < data.count {
      let count = data.withUnsafeBytes {
        Foundation.write(descriptor, $0.baseAddress! + written, $0.count - written)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure() }
      written += count
    }
    guard fsync(descriptor) == 0, rename(temporary, "\(folder ?? path)/\(file)") == 0 else {
      throw failure()
    }
  }

  /// What `errno` says.
  package func failure() -> RunError { Self.failure(name) }

  private static func failure(_ name: String) -> RunError {
    .cannotWrite(path: name, reason: String(cString: strerror(errno)))
  }
}
