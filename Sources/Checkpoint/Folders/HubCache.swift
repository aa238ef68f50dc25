import Files
import Foundation

/// The local cache of the Hugging Face hub, with folders `models--org--name/snapshots/revision`; `refs/main` names the main
/// revision.
struct HubCache {
  let path: String

  init(environment: [String: String]) {
    // Like Python's expanduser, since users write ~ into these variables.
    func expanded(_ path: String) -> String {
      guard path == "~" || path.hasPrefix("~/") else { return path }
      return (environment["HOME"] ?? NSHomeDirectory()) + path.dropFirst()
    }
    func set(_ name: String) -> String? {
      environment[name].flatMap { $0.isEmpty ? nil : expanded($0) }
    }
    let home =
      set("HF_HOME") ?? (set("XDG_CACHE_HOME") ?? expanded("~/.cache")) + "/huggingface"
    path = set("HF_HUB_CACHE") ?? set("HUGGINGFACE_HUB_CACHE") ?? home + "/hub"
  }

  /// The folder of a model's main revision, or of its only one. Throws `FileError.notAModel`, `invalidField`, `unsafePath`.
  func snapshot(of name: String) throws(FileError) -> String {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), parts.allSatisfy(Self.isPlain) else {
      throw .notAModel(
        path: name, reason: "no such file or folder",
        remedy: "check the path, or give a hub name like org/name that is in \(path)")
    }
    let folder = "\(path)/models--\(parts.joined(separator: "--"))"
    guard FileManager.default.fileExists(atPath: folder) else {
      throw .notAModel(
        path: name, reason: "no such file or folder, and no such model in \(path)",
        remedy: "check the path, or download the model: hf download \(name)")
    }
    let reference = "\(folder)/refs/main"
    guard FileManager.default.fileExists(atPath: reference) else {
      return try onlySnapshot(of: name, in: folder)
    }
    let file = try MappedFile(reference)
    let longest = 256
    let revision = String(decoding: try file.copy(0..<min(file.count, longest)), as: UTF8.self)
      .trimmingCharacters(in: .whitespacesAndNewlines)
    guard file.count < longest, Self.isPlain(revision[...]) else {
      throw .invalidField(file: reference, field: "revision", reason: "not a revision's name")
    }
    let snapshots = ModelFolder("\(folder)/snapshots")
    let snapshot = "\(snapshots.path)/\(revision)"
    guard FileManager.default.fileExists(atPath: snapshot) else {
      throw .notAModel(
        path: name, reason: "the cache lacks its main revision (\(snapshot))",
        remedy: "download it again (hf download \(name)), or give another snapshot's folder")
    }
    return try snapshots.file(revision)
  }

  /// The only snapshot of a model without a main revision: for example, one that was downloaded at another revision.
  private func onlySnapshot(
    of name: String, in folder: String
  ) throws(FileError) -> String {
    let snapshots = ModelFolder("\(folder)/snapshots")
    let revisions = ((try? FileManager.default.contentsOfDirectory(atPath: snapshots.path)) ?? [])
      .filter { Self.isPlain($0[...]) && !$0.hasPrefix(".") }.sorted()
    guard let revision = revisions.first else {
      throw .notAModel(
        path: name, reason: "the cache has no revision of it (\(snapshots.path))",
        remedy: "download it again: hf download \(name)")
    }
    guard revisions.count == 1 else {
      throw .notAModel(
        path: name,
        reason: "the cache has several revisions of it but no main one (\(folder)/refs/main)",
        remedy: "give the folder of one: "
          + revisions.map { "\(snapshots.path)/\($0)" }.joined(separator: ", "))
    }
    return try snapshots.file(revision)
  }

  /// Whether this is a plain name, not a path: letters, digits, `-`, `_` and `.`, and not only dots.
  private static func isPlain(_ part: Substring) -> Bool {
    part.contains { $0 != "." }
      && part.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
          UInt8(ascii: "."):
          true
        default: false
        }
      }
  }
}
