import Files
import Weights
import LinearAlgebra
import Synchronization

/// Tensors with generated numbers that replace those of the same names in another source; its other tensors are kept.
///
/// The numbers are generated once, piece by piece on all threads, into an unnamed mapped file: it takes disk space rather
/// than memory, and nothing of it remains however the process ends.
package final class ScratchTensors: TensorSource {
  /// The number of values generated at a time.
  package static let pieceLength = 1 << 18

  private let original: any TensorSource
  private let file: MappedFile
  /// The generated tensors.
  private let made: TensorTable
  /// The path of the original.
  package var path: String { original.path }
  /// All tensors, in the order of the original.
  package let tensors: [TensorInfo]

  /// Generates those tensors of `original` for which `types` returns a type: F32, F16 or BF16. `numbers` returns the values
  /// of a tensor in a range that begins at a multiple of `pieceLength`; it is called on any thread.
  ///
  /// Throws `FileError.cannotWrite`, for example when the disk is full, and `cannotRead`.
  package init(
    replacing original: any TensorSource, types: (TensorInfo) -> ElementType?,
    numbers: @Sendable (TensorInfo, Range<Int>) -> [Float]
  ) throws(FileError) {
    self.original = original
    var (infos, made): ([TensorInfo], [TensorInfo]) = ([], [])
    var end = 0
    for info in original.tensors {
      guard let type = types(info) else {
        infos.append(info)
        continue
      }
      let new = TensorInfo(
        name: info.name, shape: info.shape, typeName: type.name, elementType: type,
        byteRange: end..<end + info.count * type.blockBytes)
      end = (new.byteRange.upperBound + 63) / 64 * 64  // each tensor begins on a cache line
      infos.append(new)
      made.append(new)
    }
    tensors = infos
    let scratch = try ScratchFile(count: end)
    self.made = try TensorTable(made, file: scratch.folder)
    try Self.write(made, to: scratch, numbers)
    file = try scratch.mapped()
  }

  private static func write(
    _ infos: [TensorInfo], to scratch: borrowing ScratchFile,
    _ numbers: @Sendable (TensorInfo, Range<Int>) -> [Float]
  ) throws(FileError) {
    let pieces = infos.flatMap { info in
      stride(from: 0, to: info.count, by: pieceLength).map {
        (info: info, range: $0..<min($0 + pieceLength, info.count))
      }
    }
    let failure = Mutex<FileError?>(nil)
    Engine.forEach(pieces.count) { p in
      guard failure.withLock({ $0 == nil }), let type = pieces[p].info.elementType else { return }
      let (info, range) = pieces[p]
      var bytes: [UInt8] = []
      type.encode(numbers(info, range).span, to: &bytes)
      do throws(FileError) {
        let offset = info.byteRange.lowerBound + range.lowerBound * type.blockBytes
        try scratch.write(bytes, at: offset)
      } catch {
        failure.withLock { $0 = error }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
  }

  /// The description of a tensor; nil if there is none of this name.
  package func info(_ name: String) -> TensorInfo? {
    made.position(of: name).map { made.infos[$0] } ?? original.info(name)
  }

  /// A view of a tensor's bytes. Throws `FileError.missingTensor` and `unsupportedType`.
  package func tensor(_ name: String) throws(FileError) -> StoredTensor {
    guard made.position(of: name) != nil else { return try original.tensor(name) }
    return try made.tensor(name, in: file)
  }

  /// Throws `FileError.changedWhileMapped` if a file changed since it was opened.
  package func checkIntact() throws(FileError) {
    try original.checkIntact()
    try file.checkIntact()
  }
}
