/// A range of a mapped file.
public struct FilePart: Sendable {
  /// The file.
  public let file: MappedFile
  /// The range of its bytes.
  public let range: Range<Int>

  /// The part of `file` in `range`. Precondition: the range is in the file.
  public init(_ file: MappedFile, _ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= file.count, "range outside the file")
    (self.file, self.range) = (file, range)
  }

  /// Tells the system how the part will be used.
  public func advise(_ advice: MappedFile.Advice) { file.advise(advice, range) }
}

extension [FilePart] {
  /// The number of bytes in all parts.
  public var byteCount: Int { reduce(0) { $0 + $1.range.count } }

  /// The same bytes, each once, in the order of the files' paths and of the bytes in a file; adjoining parts are joined, and then
  /// divided so that none has more than `most` bytes.
  public func pieces(of most: Int) -> [FilePart] {
    precondition(most > 0, "pieces need a size")
    var joined: [FilePart] = []
    let sorted = filter { !$0.range.isEmpty }.sorted {
      ($0.file.path, $0.range.lowerBound) < ($1.file.path, $1.range.lowerBound)
    }
    for part in sorted {
      if let last = joined.last, last.file === part.file,
        part.range.lowerBound <= last.range.upperBound
      {
        let end = Swift.max(last.range.upperBound, part.range.upperBound)
        joined[joined.count - 1] = FilePart(part.file, last.range.lowerBound..<end)
      } else {
        joined.append(part)
      }
    }
    return joined.flatMap { part in
      stride(from: part.range.lowerBound, to: part.range.upperBound, by: most).map {
        FilePart(part.file, $0..<$0 + Swift.min(most, part.range.upperBound - $0))
      }
    }
  }
}
