import Files
import Weights
import Foundation
public import LinearAlgebra

/// Writes a safetensors file tensor by tensor, in pieces of any length, so that no tensor has to be in memory as a whole.
///
/// The file appears under its name when `finish` completes it. All names and shapes must be known at the beginning, since the
/// header precedes the numbers.
public final class SafetensorsWriter {
  /// A tensor to be written.
  public struct Entry: Sendable {
    /// The tensor's name.
    public let name: String
    /// The tensor's shape, row-major.
    public let shape: [Int]
    /// The stored type: F32, F16, BF16, or F64 for numbers that are appended in their stored form.
    public let elementType: ElementType

    /// A tensor of this name, shape and type.
    public init(name: String, shape: [Int], elementType: ElementType = .f32) {
      self.name = name
      self.shape = shape
      self.elementType = elementType
    }
  }

  private let file: AtomicFile
  private let entries: [Entry]
  private var current = 0  // the entry that numbers are appended to
  private var missing = 0  // the numbers it still lacks

  /// The path that the file will have.
  public var path: String { file.path }

  /// Begins a file with tensors in the order of `entries`.
  ///
  /// Precondition: names differ, no side is negative, and types are those that `Entry` allows. Throws
  /// `FileError.cannotWrite`.
  public init(
    _ path: String, entries: [Entry], metadata: [String: String] = [:]
  ) throws(FileError) {
    file = try AtomicFile(path)
    self.entries = entries
    try Self.appendHeader(of: entries, metadata, to: file)
    missing = entries.first.map { Self.count($0) } ?? 0
    skipComplete()
  }

  /// Writes a whole file. Precondition: each tensor has as many numbers as its shape needs. Throws `FileError.cannotWrite`.
  public static func write(
    _ tensors: [(entry: Entry, numbers: [Float])], to path: String,
    metadata: [String: String] = [:]
  ) throws(FileError) {
    let writer = try SafetensorsWriter(path, entries: tensors.map(\.entry), metadata: metadata)
    for (entry, numbers) in tensors {
      precondition(numbers.count == count(entry), "\(entry.name): wrong number of values")
      try writer.append(numbers)
    }
    try writer.finish()
  }

  /// Appends the next numbers, rounded to nearest even in their tensor's type. They may extend into the following tensors.
  ///
  /// Precondition: there are no more numbers than the file still lacks. Throws `FileError.cannotWrite`.
  public func append(_ numbers: some Collection<Float>) throws(FileError) {
    let numbers = Array(numbers)
    var next = 0
    while next < numbers.count {
      precondition(missing > 0, "more numbers than the entries hold")
      let count = min(missing, numbers.count - next, AtomicFile.bufferSize / 4)
      try file.append {
        entries[current].elementType.encode(numbers.span.extracting(next..<next + count), to: &$0)
      }
      next += count
      missing -= count
      skipComplete()
    }
  }

  /// Appends the next numbers of the current tensor in their stored form.
  ///
  /// Precondition: the bytes are complete numbers, no more than the tensor still lacks. Throws `FileError.cannotWrite`.
  public func append(stored bytes: UnsafeRawBufferPointer) throws(FileError) {
    guard !bytes.isEmpty else { return }
    precondition(current < entries.count, "more numbers than the entries hold")
    let size = entries[current].elementType.blockBytes
    precondition(
      bytes.count % size == 0 && bytes.count / size <= missing, "more or incomplete numbers")
    try file.append(bytes)
    missing -= bytes.count / size
    if missing == 0 { skipComplete() }
  }

  /// Completes all tensors with zeros, as a hole of the file that takes no disk space. Throws `FileError.cannotWrite`.
  public func appendZeros() throws(FileError) {
    while current < entries.count {
      try file.appendHole(bytes: missing * entries[current].elementType.blockBytes)
      missing = 0
      skipComplete()
    }
  }

  /// Gives the file its name once its bytes are on disk. If `isDurable` is false it does not wait for the disk: the file
  /// then survives a crash of the process, but not one of the machine.
  ///
  /// Precondition: every tensor is complete. Throws `FileError.cannotWrite`.
  public func finish(isDurable: Bool = true) throws(FileError) {
    precondition(current == entries.count, "numbers are missing")
    try file.finish(isDurable: isDurable)
  }

  /// Advances to the next entry that lacks numbers; an empty tensor is complete from the start.
  private func skipComplete() {
    while missing == 0, current < entries.count {
      current += 1
      if current < entries.count { missing = Self.count(entries[current]) }
    }
  }

  private static func count(_ entry: Entry) -> Int {
    guard let count = TensorInfo.count(of: entry.shape) else {
      preconditionFailure("\(entry.name): impossible shape")
    }
    return count
  }

  /// Appends the header and, before it, its length: padded with spaces, so that the numbers begin at a line of the cache, and
  /// not only at a multiple of 8 bytes as the format asks.
  ///
  /// A run can have 100,000 arrays, so that their texts are made twice, once for the length, and not kept.
  private static func appendHeader(
    of entries: [Entry], _ metadata: [String: String], to file: AtomicFile
  ) throws(FileError) {
    check(entries)
    var length = 0
    forEachPiece(of: entries, metadata) { length += $0.utf8.count }
    let padding = -(length + 8) & 63
    try withUnsafeBytes(of: UInt64(length + padding).littleEndian) { bytes throws(FileError) in
      try file.append(bytes)
    }
    try forEachPiece(of: entries, metadata) { piece throws(FileError) in
      try file.append(piece.utf8)
    }
    try file.append([UInt8](repeating: UInt8(ascii: " "), count: padding))
  }

  /// Stops the program at names that repeat, and types that cannot be written.
  private static func check(_ entries: [Entry]) {
    var names: Set<UTF8Key> = [UTF8Key("__metadata__")]
    for entry in entries {
      precondition(
        names.insert(UTF8Key(entry.name)).inserted, "\(entry.name): repeated or reserved")
      precondition(
        [.f32, .f16, .bf16, .f64].contains(entry.elementType), "\(entry.name): not a writable type")
    }
  }

  /// Passes the header's text from its first brace to its last.
  private static func forEachPiece<Failure>(
    of entries: [Entry], _ metadata: [String: String], _ body: (String) throws(Failure) -> Void
  ) throws(Failure) {
    var separator = "{"
    if !metadata.isEmpty {
      let texts = metadata.sorted { $0.key < $1.key }.map {
        "\(jsonString($0.key)):\(jsonString($0.value))"
      }
      try body("\(separator)\"__metadata__\":{\(texts.joined(separator: ","))}")
      separator = ","
    }
    var offset = 0
    for entry in entries {
      let end = offset + count(entry) * entry.elementType.blockBytes
      try body(
        "\(separator)\(jsonString(entry.name)):{\"dtype\":\"\(entry.elementType.name)\",\"shape\":"
          + "[\(entry.shape.map(String.init).joined(separator: ","))],"
          + "\"data_offsets\":[\(offset),\(end)]}")
      separator = ","
      offset = end
    }
    try body(separator == "{" ? "{}" : "}")
  }

  /// A string as JSON, with quotation marks and escapes.
  private static func jsonString(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\0"..."\u{1F}":
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
