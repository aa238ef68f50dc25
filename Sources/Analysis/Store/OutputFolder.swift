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
    let writer = try FileWriter(self, file)
    try writer.write(data)
    try writer.finish(into: folder)
  }

  /// What `errno` says.
  package func failure() -> RunError { Self.failure(name) }

  private static func failure(_ name: String) -> RunError {
    .cannotWrite(path: name, reason: String(cString: strerror(errno)))
  }
}
