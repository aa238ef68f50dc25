import Files
import Weights
import Foundation
public import LinearAlgebra

/// Writes a safetensors file, tensor by tensor, in pieces of any length, so that nothing need be in memory at once.
///
/// The file appears under its name when `finish` has made it whole. The tensors' names and shapes come first because the header does.
public final class SafetensorsWriter {
  /// A tensor to be written.
  public struct Entry: Sendable {
    /// Its name.
    public let name: String
    /// Its sides, row-major.
    public let shape: [Int]
    /// F32, F16, BF16, or F64 of numbers that are appended as they are stored.
    public let elementType: ElementType

    /// A tensor to be written.
    public init(name: String, shape: [Int], elementType: ElementType = .f32) {
      self.name = name
      self.shape = shape
      self.elementType = elementType
    }
  }

  private let file: AtomicFile
  private let entries: [Entry]
  private var current = 0  // the entry that numbers go to
  private var missing = 0  // numbers it still lacks

  /// Where the file will be.
  public var path: String { file.path }

  /// Begins the file, whose tensors follow one another in the order of `entries`.
  ///
  /// Precondition: names differ, sides are natural, types are those of `Entry`. Throws `FileError.cannotWrite`.
  public init(
    _ path: String, entries: [Entry], metadata: [String: String] = [:]
  ) throws(FileError) {
    file = try AtomicFile(path)
    self.entries = entries
    try file.append(Self.header(entries, metadata))
    missing = entries.first.map { Self.count($0) } ?? 0
    skipComplete()
  }

  /// Writes the whole file. Precondition: each tensor has the numbers its shape asks for.
  public static func write(
    _ tensors: [(entry: Entry, numbers: [Float])], to path: String,
    metadata: [String: String] = [:]
  ) throws(FileError) {
    let writer = try SafetensorsWriter(path, entries: tensors.map(\.entry), metadata: metadata)
    for (entry, numbers) in tensors {
      precondition(numbers.count == count(entry), "\(entry.name): numbers for another shape")
      try writer.append(numbers)
    }
    try writer.finish()
  }

  /// The next numbers, rounded to nearest even in their tensor's type; they may run on into the tensors that follow.
  ///
  /// Precondition: no more than are missing. Throws `FileError.cannotWrite`.
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

  /// The next numbers of the present tensor, as they are to be stored.
  ///
  /// Precondition: whole numbers, no more than the tensor lacks. Throws `FileError.cannotWrite`.
  public func append(stored bytes: UnsafeRawBufferPointer) throws(FileError) {
    guard !bytes.isEmpty else { return }
    precondition(current < entries.count, "more numbers than the entries hold")
    let size = entries[current].elementType.blockBytes
    precondition(bytes.count % size == 0 && bytes.count / size <= missing, "not this tensor's")
    try file.append(bytes)
    missing -= bytes.count / size
    if missing == 0 { skipComplete() }
  }

  /// Gives the file its name, after its bytes have reached the disk; with `isDurable` false, the end of the process is
  /// survived, but not that of the machine. Precondition: every tensor is complete.
  ///
  /// Throws `FileError.cannotWrite`.
  public func finish(isDurable: Bool = true) throws(FileError) {
    precondition(current == entries.count, "numbers are missing")
    try file.finish(isDurable: isDurable)
  }

  /// Goes on to the next entry that lacks numbers; one without any is complete from the start.
  private func skipComplete() {
    while missing == 0, current < entries.count {
      current += 1
      if current < entries.count { missing = Self.count(entries[current]) }
    }
  }

  private static func count(_ entry: Entry) -> Int {
    guard let count = TensorInfo.count(of: entry.shape) else {
      preconditionFailure("\(entry.name): no possible shape")
    }
    return count
  }

  /// The length, and the JSON padded with spaces so that the numbers begin at a multiple of 8.
  private static func header(_ entries: [Entry], _ metadata: [String: String]) -> [UInt8] {
    var members: [String] = []
    if !metadata.isEmpty {
      let texts = metadata.sorted { $0.key < $1.key }.map {
        "\(jsonString($0.key)):\(jsonString($0.value))"
      }
      members.append("\"__metadata__\":{\(texts.joined(separator: ","))}")
    }
    var names: Set<UTF8Key> = ["__metadata__"].reduce(into: []) { $0.insert(UTF8Key($1)) }
    var offset = 0
    for entry in entries {
      precondition(names.insert(UTF8Key(entry.name)).inserted, "\(entry.name): twice, or reserved")
      precondition(
        [.f32, .f16, .bf16, .f64].contains(entry.elementType), "\(entry.name): no type to write")
      let end = offset + count(entry) * entry.elementType.blockBytes
      members.append(
        "\(jsonString(entry.name)):{\"dtype\":\"\(entry.elementType.name)\",\"shape\":"
          + "[\(entry.shape.map(String.init).joined(separator: ","))],"
          + "\"data_offsets\":[\(offset),\(end)]}")
      offset = end
    }
    var json = Array("{\(members.joined(separator: ","))}".utf8)
    while json.count % 8 != 0 { json.append(UInt8(ascii: " ")) }
    return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Array($0) } + json
  }

  /// A text as JSON spells it.
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
