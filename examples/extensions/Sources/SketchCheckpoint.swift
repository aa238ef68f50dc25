import Checkpoint
import Foundation
import LinearAlgebra

/// Writes a tiny checkpoint of the family `sketch`, with random weights, into an existing folder.
func writeSketch(to folder: String, width: Int, inner: Int, vocabulary: Int) throws {
  let square = [width, width]
  let shapes = [
    ("embed", [vocabulary, width]), ("layers.0.q", square), ("layers.0.k", square),
    ("layers.0.v", square), ("layers.0.o", square), ("layers.0.up", [inner, width]),
    ("layers.0.down", [width, inner]),
  ]
  let writer = try SafetensorsWriter(
    "\(folder)/model.safetensors",
    entries: shapes.map { .init(name: "\($0).weight", shape: $1) })
  var random = SeededGenerator(seed: 3)
  for (_, shape) in shapes {
    try writer.append((0..<shape[0] * shape[1]).map { _ in Float(random.normal()) })
  }
  try writer.finish()
  let configuration = """
    {"model_type": "sketch", "num_hidden_layers": 1, "hidden_size": \(width),
     "intermediate_size": \(inner), "vocab_size": \(vocabulary)}
    """
  try Data(configuration.utf8).write(to: URL(fileURLWithPath: "\(folder)/config.json"))
}
