public import Foundation

/// A temporary folder, which is removed with this object.
public final class ScratchFolder: Sendable {
  /// The path of the folder, with symbolic links resolved.
  public let path: String

  /// The parent of all folders of this process. It is removed at exit, with the folders that static properties keep alive.
  private static let root: String = {
    let temporary = URL(fileURLWithPath: NSTemporaryDirectory()).resolvingSymlinksInPath()
    atexit { try? FileManager.default.removeItem(atPath: ScratchFolder.root) }
    return temporary.appendingPathComponent("krylens-tests-\(getpid())").path
  }()

  /// Creates an empty folder.
  public init() throws {
    path = "\(Self.root)/\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of a file or folder in it.
  public subscript(name: String) -> String { "\(path)/\(name)" }

  /// The names of its contents, including hidden ones, sorted.
  public var contents: [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? []
  }

  /// Writes a file; returns its path.
  @discardableResult
  public func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: self[name]))
    return self[name]
  }

  /// Creates a folder in it, with intermediate folders.
  public func makeFolder(_ name: String) throws {
    try FileManager.default.createDirectory(atPath: self[name], withIntermediateDirectories: true)
  }

  /// Copies a file or folder here; returns its path.
  @discardableResult
  public func copy(_ path: String, as name: String) throws -> String {
    try FileManager.default.copyItem(atPath: path, toPath: self[name])
    return self[name]
  }
}
