import Foundation

/// What a command has finished and keeps in its folder's `partial`, one file per unit.
struct KeptUnits {
  /// The command's folder, as it was named.
  let folder: String
  /// Where the files lie.
  private let partial: String
  /// How their names begin.
  private let prefix: String

  /// Those of a folder; `partial` is where they lie.
  init(of folder: String, in partial: String, prefix: String) {
    (self.folder, self.partial, self.prefix) = (folder, partial, prefix)
  }

  /// The files' names.
  var names: [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: partial)) ?? []
    return names.filter { $0.hasPrefix(prefix) && !$0.hasSuffix(".tmp") }
  }

  /// What was kept under this name; nil when nothing was, or what was has been torn by the machine's end.
  ///
  /// Throws `RunError.cannotRead`.
  func unit(_ name: String) throws(RunError) -> ArrayFile? {
    try ArrayFile(reading: place(of: name))
  }

  /// Keeps something that is finished. Throws `RunError.cannotWrite`.
  func keep(_ file: ArrayFile, notes: some Encodable, as name: String) throws {
    try file.write(to: place(of: name), notes: notes)
  }

  private func place(of name: String) -> String { "\(partial)/\(prefix)\(name).safetensors" }
}
