import Files
import Foundation

extension CheckpointDirectory {
  /// Bytes of weights up to which all of them are hashed.
  private static let hashedWhole = 1 << 30
  /// Bytes of every tensor that are hashed in a larger model, in this many pieces spread evenly.
  private static let sample = (pieces: 16, bytes: 1 << 12)

  /// A hash of the configuration and of the weights, by which a run knows its model again.
  ///
  /// Of more than 1 GB of weights, names, shapes, types and 64 kB of every tensor: training changes all of it. Throws
  /// `FileError` when a file cannot be read.
  public func fingerprint() throws(FileError) -> String {
    var hash = ContentHash()
    switch kind {
    case .huggingFace:
      // Read anew: what was parsed keeps neither order nor spelling.
      let file = try MappedFile(try ModelFolder(path).file("config.json"))
      hash.combine(file.bytes)
      try file.checkIntact()
    case .gguf(let file):
      let end = file.tensors.map(\.byteRange.lowerBound).min() ?? file.file.count
      hash.combine(UnsafeRawBufferPointer(rebasing: file.file.bytes[..<end]))
    }
    let total = tensors.tensors.reduce(0) { $0 + $1.byteRange.count }
    for info in tensors.tensors {
      hash.combine("\(info.name) \(info.typeName) \(info.shape)")
      // A type that cannot be read is not computed with.
      guard info.elementType != nil, let tensor = try? tensors.tensor(info.name) else { continue }
      let bytes = tensor.bytes
      if total <= Self.hashedWhole || bytes.count <= Self.sample.pieces * Self.sample.bytes {
        hash.combine(bytes)
      } else {
        for piece in 0..<Self.sample.pieces {
          let start = (bytes.count - Self.sample.bytes) / (Self.sample.pieces - 1) * piece
          hash.combine(UnsafeRawBufferPointer(rebasing: bytes[start..<start + Self.sample.bytes]))
        }
      }
      // Else the whole file would count as this process's memory.
      tensor.advise(.dontNeed)
    }
    try tensors.checkIntact()
    return hash.digits
  }
}
