public import Foundation

/// A folder that goes away with this object.
public final class ScratchFolder: Sendable {
  /// Where it is, symbolic links resolved.
  public let path: String

  /// Where all of this process are: those that a static property keeps go when the process does.
  private static let root: String = {
    let temporary = URL(fileURLWithPath: NSTemporaryDirectory()).resolvingSymlinksInPath()
    atexit { try? FileManager.default.removeItem(atPath: ScratchFolder.root) }
    return temporary.appendingPathComponent("krylens-tests-\(getpid())").path
  }()

  /// An empty one.
  public init() throws {
    path = "\(Self.root)/\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of something in it.
  public subscript(name: String) -> String { "\(path)/\(name)" }

  /// Names of what is in it, hidden ones included.
  public var contents: [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: path).sorted()) ?? []
  }

  /// Writes a file; returns its path.
  @discardableResult
  public func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: self[name]))
    return self[name]
  }

  /// Makes a folder in it, and those on the way there.
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
