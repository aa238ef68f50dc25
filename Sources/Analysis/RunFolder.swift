import Checkpoint
import Foundation
import LinearAlgebra

/// The folder a run leaves: made whole in a hidden folder beside it, then renamed, so that it is there whole or not at all.
///
/// `result.json`, `triplets.safetensors`, tables as CSV, and the hidden states if they were asked for.
public struct RunFolder {
  /// Where the run will be, as it was named.
  public let path: String
  private let destination: URL

  /// Tries whether the folder can be made, before any work, and leaves nothing behind.
  ///
  /// Throws `RunError.outputNotEmpty`, or `cannotWrite` when nothing can be made there.
  public init(_ path: String) throws {
    self.path = path
    destination = URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath()
    let files = FileManager.default
    if files.fileExists(atPath: destination.path) {
      let contents = try? files.contentsOfDirectory(atPath: destination.path)
      guard contents?.isEmpty == true else { throw RunError.outputNotEmpty(path: path) }
    }
    takeBack(try makeStaging())
  }

  /// Writes everything. Throws `RunError.cannotWrite`; then nothing of it stays.
  public func write(_ result: RunResult) throws {
    let made = try makeStaging()
    do {
      try write(try result.record.json(), to: "result.json")
      for table in RunTables.all(result) { try write(Data(table.text.utf8), to: table.name) }
      try writeTriplets(result)
      if result.prompts.contains(where: { !$0.hiddenStates.isEmpty }) {
        try writeHiddenStates(result)
      }
      guard rename(staging, destination.path) == 0 else { throw failure() }
    } catch {
      takeBack(made)
      guard case CheckpointError.cannotWrite(_, let reason) = error else { throw error }
      throw RunError.cannotWrite(path: path, reason: reason)
    }
  }

  /// Beside the folder, so that renaming it stays on one file system.
  private var staging: String {
    let name = ".\(destination.lastPathComponent).partial-\(getpid())"
    return destination.deletingLastPathComponent().appendingPathComponent(name).path
  }

  /// Makes the hidden folder, and the folders on the way to it that are not there; returns what it made, outermost first.
  private func makeStaging() throws -> [String] {
    var missing = [staging]
    var folder = destination.deletingLastPathComponent()
    while !FileManager.default.fileExists(atPath: folder.path), folder.path != "/" {
      missing.append(folder.path)
      folder.deleteLastPathComponent()
    }
    var made: [String] = []
    for folder in missing.reversed() {
      if mkdir(folder, 0o777) == 0 {
        made.append(folder)
      } else if errno != EEXIST || folder == staging {
        let error = failure()
        takeBack(made)
        throw error
      }
    }
    return made
  }

  /// Removes the hidden folder, and those on the way to it that nobody else has put anything into.
  private func takeBack(_ made: [String]) {
    if made.last == staging { try? FileManager.default.removeItem(atPath: staging) }
    for folder in made.reversed() { rmdir(folder) }
  }

  /// By `write(2)` and `fsync(2)`: a full disk is found here, not later.
  private func write(_ data: Data, to name: String) throws {
    let file = open("\(staging)/\(name)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw failure() }
    defer { close(file) }
    try data.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let written = Foundation.write(
          file, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        guard written > 0 else { throw failure() }
        rest = rest.dropFirst(written)
      }
    }
    guard fsync(file) == 0 else { throw failure() }
  }

  private func failure() -> RunError {
    .cannotWrite(path: path, reason: String(cString: strerror(errno)))
  }

  /// `p0.l1.U`, `p0.l1.V` (k, d) and `p0.l1.S` (k), rows are vectors.
  private func writeTriplets(_ result: RunResult) throws {
    var entries: [SafetensorsWriter.Entry] = []
    var numbers: [[Double]] = []
    for (p, prompt) in result.prompts.enumerated() {
      for (record, t) in zip(prompt.record.layers, prompt.triplets) {
        let name = "p\(p).l\(record.layer)."
        let (u, v) = (t.leftVectors, t.rightVectors)
        entries.append(.init(name: name + "U", shape: [u.rows, u.columns]))
        entries.append(.init(name: name + "V", shape: [v.rows, v.columns]))
        entries.append(.init(name: name + "S", shape: [t.singularValues.count]))
        numbers += [u.elements, v.elements, t.singularValues]
      }
    }
    let writer = try SafetensorsWriter("\(staging)/triplets.safetensors", entries: entries)
    for part in numbers { try writer.append(part.map { Float($0) }) }
    try writer.finish()
  }

  /// `p0.x0` … `p0.xL` (tokens, width).
  private func writeHiddenStates(_ result: RunResult) throws {
    let states = result.prompts.enumerated().flatMap { p, prompt in
      prompt.hiddenStates.enumerated().map { l, x in (name: "p\(p).x\(l)", x) }
    }
    let writer = try SafetensorsWriter(
      "\(staging)/hidden_states.safetensors",
      entries: states.map { .init(name: $0.name, shape: [$0.1.rows, $0.1.columns]) })
    for (_, x) in states { try writer.append(x.elements) }
    try writer.finish()
  }
}
