import Foundation

/// The finished units of a command, kept in its folder's `partial`, one file per unit.
struct KeptUnits {
  /// The command's folder, as given.
  let folder: String
  /// The folder of the files.
  private let partial: String
  /// The prefix of the files' names.
  private let prefix: String

  /// The units of a folder, in the subfolder `partial`.
  init(of folder: String, in partial: String, prefix: String) {
    (self.folder, self.partial, self.prefix) = (folder, partial, prefix)
  }

  /// The files' names.
  var names: [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: partial)) ?? []
    return names.filter { $0.hasPrefix(prefix) && !$0.hasSuffix(".tmp") }
  }

  /// The unit kept under this name; nil if there is none, or if a crash of the machine has damaged it.
  ///
  /// Throws `RunError.cannotRead`.
  func unit(_ name: String) throws(RunError) -> ArrayFile? {
    try ArrayFile(reading: place(of: name))
  }

  /// Keeps a finished unit. Throws `RunError.cannotWrite`.
  func keep(_ file: ArrayFile, notes: some Encodable, as name: String) throws {
    try file.write(to: place(of: name), notes: notes)
  }

  /// Removes a unit that is no longer needed.
  func remove(_ name: String) { unlink(place(of: name)) }

  private func place(of name: String) -> String { "\(partial)/\(prefix)\(name).safetensors" }
}
