import Files
import Foundation

extension CheckpointDirectory {
  /// The size of weights in bytes up to which all of them are hashed.
  private static let hashedWhole = 1 << 30
  /// The parts of each tensor that are hashed in a larger model: `pieces` of `bytes` bytes each, spread evenly.
  private static let sample = (pieces: 16, bytes: 1 << 12)
  /// How many bytes are asked for before they are hashed, so that the disk always has something to read.
  private static let ahead = 1 << 26
  /// How many bytes are read and hashed at a time: what the second level of a cache holds.
  private static let atOnce = 1 << 18

  /// A hash of the configuration and the weights, by which a run recognises its model.
  ///
  /// If the weights exceed 1 GiB, only names, shapes, types and 64 KiB of each tensor are hashed; training changes every
  /// part of a tensor. `report` is called every few megabytes with the bytes read and those to read in all, and may throw.
  /// Throws `FileError` if a file cannot be read.
  public func fingerprint(
    report: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
  ) throws -> String {
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
    let infos = tensors.tensors
    let isWhole = infos.reduce(0) { $0 + $1.byteRange.count } <= Self.hashedWhole
    // A tensor of an unsupported type is never computed with.
    let hashed = infos.map { info in
      info.elementType == nil
        ? nil : (try? tensors.tensor(info.name)).map { Self.parts(of: $0, isWhole) }
    }
    let pieces = hashed.flatMap { $0 ?? [] }.flatMap(\.pieces)
    let total = pieces.byteCount
    var (done, asked) = ((count: 0, bytes: 0), (count: 0, bytes: 0))
    // Read, not mapped: a page is copied sooner than it is mapped, counted as memory of this process and unmapped again.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.atOnce, alignment: 64)
    defer { buffer.deallocate() }
    for (info, hashed) in zip(infos, hashed) {
      hash.combine("\(info.name) \(info.typeName) \(info.shape)")
      for part in hashed ?? [] {
        guard !part.pieces.isEmpty else {
          hash.combine(part.bytes)
          continue
        }
        try hash.combine(inPieces: { add in
          for piece in part.pieces {
            // Just what is hashed is asked for: the system would read much more around each part.
            while asked.count < pieces.count, asked.bytes - done.bytes < Self.ahead {
              pieces[asked.count].advise(.willNeed)
              asked = (asked.count + 1, asked.bytes + pieces[asked.count].range.count)
            }
            for start in stride(
              from: piece.range.lowerBound, to: piece.range.upperBound, by: buffer.count)
            {
              let bytes = UnsafeMutableRawBufferPointer(
                rebasing: buffer.prefix(piece.range.upperBound - start))
              try piece.file.read(from: start, into: bytes)
              add(UnsafeRawBufferPointer(bytes))
            }
            done = (done.count + 1, done.bytes + piece.range.count)
            try report(done.bytes, total)
          }
        })
      }
    }
    try tensors.checkIntact()
    return hash.digits
  }

  /// A part of a tensor that is hashed.
  private struct HashedPart {
    let tensor: StoredTensor
    /// Valid as long as the tensor.
    let bytes: UnsafeRawBufferPointer
    /// The same as parts of a file, of some megabytes at most; none if they are in memory.
    let pieces: [FilePart]
  }

  /// The parts of a tensor that are hashed, one after another.
  private static func parts(of tensor: StoredTensor, _ isWhole: Bool) -> [HashedPart] {
    let all = tensor.bytes
    let parts: [UnsafeRawBufferPointer]
    if isWhole || all.count <= sample.pieces * sample.bytes {
      parts = [all]
    } else {
      parts = (0..<sample.pieces).map { piece in
        let start = (all.count - sample.bytes) / (sample.pieces - 1) * piece
        return UnsafeRawBufferPointer(rebasing: all[start..<start + sample.bytes])
      }
    }
    let file = tensor.owner as? MappedFile
    return parts.map { part in
      HashedPart(
        tensor: tensor, bytes: part,
        pieces: file?.part(part).map { [$0].pieces(of: 1 << 22) } ?? [])
    }
  }
}
