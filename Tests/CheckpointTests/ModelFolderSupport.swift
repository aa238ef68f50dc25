import Foundation

@testable import Checkpoint

/// Writes a safetensors file of zero vectors.
func writeVectors(_ names: [String], to path: String) throws {
  try FileManager.default.createDirectory(
    atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
  try SafetensorsWriter.write(names.map { (.init(name: $0, shape: [2]), [0, 0]) }, to: path)
}

/// Opens a model by path or hub name, independently of the process's environment.
func openModel(
  _ model: String, _ environment: [String: String] = ["HOME": "/nonexistent"]
) throws -> CheckpointDirectory {
  try CheckpointDirectory(opening: model, environment: environment)
}
