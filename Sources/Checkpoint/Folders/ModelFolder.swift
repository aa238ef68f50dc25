import Files
import Foundation

/// The folder of a model; no file name or link in it may lead out of it.
///
/// A file must be in the folder itself, or, if the folder is a snapshot in a Hugging Face cache
/// (`…/models--org--name/snapshots/revision`), among the blobs of the same model (`…/models--org--name/blobs`).
struct ModelFolder {
  let path: String

  init(_ path: String) { self.path = path }

  /// The folder that contains a file.
  init(containing file: String) {
    let folder = (file as NSString).deletingLastPathComponent
    path = folder.isEmpty ? "." : folder
  }

  /// The path, with all links resolved, of the file `name`, which `field` of `file` names. Throws `FileError.unsafePath`,
  /// with the place it leads to, if it is outside the model's folder, and `cannotRead` if there is no such file.
  func resolve(
    _ name: String, file: String, field: String
  ) throws(FileError) -> String {
    let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard !name.utf8.contains(0), parts.allSatisfy({ !$0.isEmpty && !$0.elementsEqual("..".utf8) })
    else {  // an absolute path begins with an empty part
      throw .unsafePath(file: file, field: field, path: name)
    }
    guard let home = realPath(path) else {
      throw .cannotRead(file: path, reason: "the folder no longer exists")
    }
    guard let resolved = realPath("\(path)/\(name)") else {
      let reason = String(cString: strerror(errno))
      throw .cannotRead(file: "\(path)/\(name)", reason: "\(reason); \(field) refers to it")
    }
    let homeParts = home.split(separator: "/").map(String.init)
    var allowed = [home + "/"]
    if homeParts.count >= 3, homeParts[homeParts.count - 2] == "snapshots",
      homeParts[homeParts.count - 3].hasPrefix("models--")
    {
      allowed.append("/" + homeParts.dropLast(2).joined(separator: "/") + "/blobs/")
    }
    guard allowed.contains(where: { resolved.utf8.starts(with: $0.utf8) }) else {
      throw .unsafePath(file: file, field: field, path: resolved)
    }
    return resolved
  }

  /// The path of an existing file of this name. Throws `FileError.unsafePath` if it is a link out of the model's folder, and
  /// `cannotRead`.
  func file(_ name: String) throws(FileError) -> String {
    _ = try resolve(name, file: "\(path)/\(name)", field: "the link")
    return "\(path)/\(name)"
  }
}

/// The path with every link resolved; nil if nothing is there.
private func realPath(_ path: String) -> String? {
  guard let resolved = realpath(path, nil) else { return nil }
  defer { free(resolved) }
  return String(cString: resolved)
}
