import Foundation

/// A folder into which files are written, each under a temporary name first and then renamed.
package struct OutputFolder {
  /// The path of the folder.
  package let path: String
  /// The path as the user gave it, for messages.
  let name: String
  /// The folders that were created for its path, outermost first.
  private let made: [String]

  /// Creates the folder and its missing parents. Throws `RunError.cannotWrite`, in which case none of them is left.
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

  /// Removes the folder with its contents, and the parents that were created for it, if they are empty.
  package func takeBack() {
    try? FileManager.default.removeItem(atPath: path)
    for folder in made.reversed() { rmdir(folder) }
  }

  /// Writes a file with `write(2)` and `fsync(2)`, so that a full disk is detected here and not later, and renames it, into
  /// `folder` if one is given. Throws `RunError.cannotWrite`.
  package func write(_ data: Data, to file: String, into folder: String? = nil) throws(RunError) {
    let writer = try FileWriter(self, file)
    try writer.write(data)
    try writer.finish(into: folder)
  }

  /// The error described by `errno`.
  package func failure() -> RunError { Self.failure(name) }

  private static func failure(_ name: String) -> RunError {
    .cannotWrite(path: name, reason: String(cString: strerror(errno)))
  }
}

extension OutputFolder {
  /// The folder of a run that is given none: krylens-runs/NAME-20260131-120000.
  package static func defaultPath(_ name: String) -> String {
    let format = DateFormatter()
    format.locale = Locale(identifier: "en_US_POSIX")
    format.dateFormat = "yyyyMMdd-HHmmss"
    let plain = name.map { $0.isLetter || $0.isNumber || ".-_".contains($0) ? $0 : "-" }
    return "krylens-runs/\(String(plain))-\(format.string(from: Date()))"
  }
}
