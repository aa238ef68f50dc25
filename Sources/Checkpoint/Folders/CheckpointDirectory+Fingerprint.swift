import Files
import Foundation

extension CheckpointDirectory {
  /// The size of weights in bytes up to which all of them are hashed.
  private static let hashedWhole = 1 << 30
  /// The parts of each tensor that are hashed in a larger model: `pieces` of `bytes` bytes each, spread evenly.
  private static let sample = (pieces: 16, bytes: 1 << 12)

  /// A hash of the configuration and the weights, by which a run recognises its model.
  ///
  /// If the weights exceed 1 GiB, only names, shapes, types and 64 KiB of each tensor are hashed; training changes every
  /// part of a tensor. Throws `FileError` if a file cannot be read.
  public func fingerprint() throws(FileError) -> String {
    var hash = ContentHash()
    switch kind {
    case .huggingFace:
      // The bytes of the file are hashed: the parsed form does not keep their exact spelling.
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
      // A tensor of an unsupported type is never computed with.
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
      // Otherwise the whole file would count as memory of this process.
      tensor.advise(.dontNeed)
    }
    try tensors.checkIntact()
    return hash.digits
  }
}
