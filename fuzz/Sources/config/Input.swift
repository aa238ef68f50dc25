import Files
import Checkpoint
import Foundation
import FuzzSupport
import Model

private let scratch = ScratchFile("model/config.json")

/// Weights that fit the configuration, so that reading continues after its first keys: by `model_type`, those of the
/// tests' tiny checkpoints.
private let weights: [String: String] = {
  let fixtures = URL(fileURLWithPath: #filePath)
    .appendingPathComponent("../../../../Tests/ModelTests/Fixtures").standardizedFileURL.path
  var result: [String: String] = [:]
  for name in (try? FileManager.default.contentsOfDirectory(atPath: fixtures).sorted()) ?? [] {
    guard let config = try? ConfigurationFile("\(fixtures)/\(name)/config.json"),
      let type = try? config.string("model_type")
    else { continue }
    // The simplest fixture of a type has the shortest name, and comes first.
    result[type] = result[type] ?? "\(fixtures)/\(name)/model.safetensors"
  }
  precondition(!result.isEmpty, "no checkpoints in \(fixtures)")
  return result
}()

/// Reads the configuration, and opens the family it names.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: start, count: count)
  scratch.hold(bytes)
  guard let config = try? ConfigurationFile(scratch.path) else { return 0 }
  let folder = (scratch.path as NSString).deletingLastPathComponent
  let type = (try? config.string("model_type")).flatMap { weights[$0] == nil ? nil : $0 } ?? "llama"
  let copy = "\(folder)/../\(type)/model.safetensors"
  if !FileManager.default.fileExists(atPath: copy), let original = weights[type] {
    try? FileManager.default.createDirectory(
      atPath: (copy as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try? FileManager.default.copyItem(atPath: original, toPath: copy)
  }
  let link = "\(folder)/model.safetensors"
  unlink(link)
  guard Foundation.link(copy, link) == 0 else { return 0 }
  if let directory = try? CheckpointDirectory(opening: folder) {
    _ = try? loadTransformer(directory)
  }
  return 0
}
