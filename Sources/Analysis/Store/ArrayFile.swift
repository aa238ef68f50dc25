import Files
import Checkpoint
import Foundation
import LinearAlgebra

/// Matrices in double precision and notes as JSON, in one safetensors file that contains a hash of its contents.
///
/// Neither writing nor reading holds more than one matrix besides the caller's.
struct ArrayFile {
  /// A matrix to be written; its elements are computed at that time.
  private struct Entry {
    let name: String
    let rows: Int
    let columns: Int
    let elements: () -> [Double]
  }

  private var entries: [Entry] = []
  private var json = ""
  private var file: SafetensorsFile?

  /// An empty file.
  init() {}

  /// Adds a matrix. Precondition: names differ.
  mutating func append(_ name: String, _ matrix: Matrix<Double>) {
    append(name, rows: matrix.rows, columns: matrix.columns) { matrix.elements }
  }

  /// Adds a matrix whose numbers `elements` computes, the same at every call. Precondition: names differ.
  mutating func append(
    _ name: String, rows: Int, columns: Int, elements: @escaping () -> [Double]
  ) {
    entries.append(Entry(name: name, rows: rows, columns: columns, elements: elements))
  }

  /// Writes the file atomically. Throws `RunError.cannotWrite`.
  func write(to path: String, notes: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let json = String(decoding: try encoder.encode(notes), as: UTF8.self)
    var hash = ContentHash()
    hash.combine(json)
    for entry in entries {
      hash.combine("\(entry.name) \(entry.rows) \(entry.columns)")
      hash.combine(entry.elements())
    }
    do {
      let writer = try SafetensorsWriter(
        path,
        entries: entries.map {
          .init(name: $0.name, shape: [$0.rows, $0.columns], elementType: .f64)
        }, metadata: ["notes": json, "hash": hash.digits])
      for entry in entries {
        try entry.elements().withUnsafeBytes { try writer.append(stored: $0) }
      }
      // A killed process loses nothing by this; damage from a crash of the machine is found by the hash.
      try writer.finish(isDurable: false)
    } catch let error as FileError {
      guard case .cannotWrite(_, let reason) = error else { throw error }
      throw RunError.cannotWrite(path: path, reason: reason)
    }
  }

  /// Opens a file; nil if it is missing or is not what was written.
  ///
  /// Throws `RunError.cannotRead` if the system cannot read it, in which case its contents may be intact.
  init?(reading path: String) throws(RunError) {
    var status = stat()
    guard stat(path, &status) == 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw .cannotRead(path: path, reason: String(cString: strerror(errno)))
    }
    guard status.st_size > 0 else { return nil }
    let file: SafetensorsFile
    do {
      file = try SafetensorsFile(path)
    } catch .cannotRead(_, let reason) {
      throw .cannotRead(path: path, reason: reason)
    } catch {
      return nil
    }
    guard let json = file.metadata["notes"] else { return nil }
    (self.json, self.file) = (json, file)
    var hash = ContentHash()
    hash.combine(json)
    for info in file.tensors {
      guard info.elementType == .f64, info.shape.count == 2,
        let tensor = try? file.tensor(info.name)
      else { return nil }
      hash.combine("\(info.name) \(info.shape[0]) \(info.shape[1])")
      withExtendedLifetime(file) { hash.combine(tensor.bytes) }
      tensor.advise(.dontNeed)
    }
    release()
    guard (try? file.checkIntact()) != nil, hash.digits == file.metadata["hash"] else { return nil }
  }

  /// The matrix of this name; nil if there is none, or if the file has changed since it was opened.
  func matrix(_ name: String) -> Matrix<Double>? {
    guard let file, let info = file.info(name), let tensor = try? file.tensor(name) else {
      return nil
    }
    let numbers = [Double](unsafeUninitializedCapacity: tensor.count) { buffer, count in
      withExtendedLifetime(file) {
        UnsafeMutableRawBufferPointer(buffer).copyMemory(from: tensor.bytes)
      }
      count = tensor.count
    }
    guard (try? file.checkIntact()) != nil else { return nil }
    return Matrix(rows: info.shape[0], columns: info.shape[1], elements: numbers)
  }

  /// Lets the system drop the file's pages until they are needed again.
  func release() {
    guard let file = file?.file else { return }
    file.advise(.dontNeed, 0..<file.count)
  }

  /// The notes, if they have this type.
  func notes<Notes: Decodable>(_ type: Notes.Type) -> Notes? {
    try? JSONDecoder().decode(type, from: Data(json.utf8))
  }
}
