import Checkpoint
import Foundation
import LinearAlgebra

/// The folder a run leaves: made whole in a hidden folder beside it, then renamed, so that it is there whole or not at all.
///
/// `result.json`, `triplets.safetensors`, tables as CSV, and the hidden states if they were asked for.
public final class RunFolder {
  /// Where the run will be.
  public let path: String
  private let staging: String
  private var isFinished = false

  /// Prepares a folder. Throws `RunError.outputNotEmpty`, or `cannotWrite` when nothing can be made there: before any work.
  public init(_ path: String) throws {
    let url = URL(fileURLWithPath: path).standardizedFileURL
    self.path = path
    let files = FileManager.default
    if let contents = try? files.contentsOfDirectory(atPath: url.path) {
      if !contents.isEmpty { throw RunError.outputNotEmpty(path: path) }
    } else if files.fileExists(atPath: url.path) {
      throw RunError.outputNotEmpty(path: path)
    }
    let parent = url.deletingLastPathComponent()
    staging =
      parent.appendingPathComponent(
        ".\(url.lastPathComponent).partial-\(getpid())"
      ).path
    do {
      try files.createDirectory(at: parent, withIntermediateDirectories: true)
      try files.createDirectory(atPath: staging, withIntermediateDirectories: false)
    } catch {
      throw RunError.cannotWrite(path: path, reason: Self.reason(error))
    }
  }

  deinit { if !isFinished { try? FileManager.default.removeItem(atPath: staging) } }

  /// Writes everything. Throws `RunError.cannotWrite`, `CheckpointError.cannotWrite`; then nothing of it stays.
  public func write(_ result: RunResult) throws {
    do {
      let encoder = JSONEncoder()
      encoder.keyEncodingStrategy = .convertToSnakeCase
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      try write(try encoder.encode(result.record), to: "result.json")
      for table in RunTables.all(result) { try write(Data(table.text.utf8), to: table.name) }
      try writeTriplets(result)
      if result.prompts.contains(where: { !$0.hiddenStates.isEmpty }) {
        try writeHiddenStates(result)
      }
      guard rename(staging, path) == 0 else {
        throw RunError.cannotWrite(path: path, reason: String(cString: strerror(errno)))
      }
      isFinished = true
    } catch let error as CheckpointError {
      guard case .cannotWrite(_, let reason) = error else { throw error }
      throw RunError.cannotWrite(path: path, reason: reason)
    }
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

  private static func reason(_ error: any Error) -> String {
    let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
    if let underlying, underlying.domain == NSPOSIXErrorDomain {
      return String(cString: strerror(Int32(underlying.code)))
    }
    return error.localizedDescription
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
