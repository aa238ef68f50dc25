import Checkpoint
import Foundation
import LinearAlgebra

/// Matrices in double precision and notes as JSON, in one safetensors file that knows a hash of itself.
struct ArrayFile {
  private var arrays: [(name: String, matrix: Matrix<Double>)] = []
  private var json = ""

  /// Nothing in it yet.
  init() {}

  /// Adds a matrix. Precondition: names differ.
  mutating func append(_ name: String, _ matrix: Matrix<Double>) { arrays.append((name, matrix)) }

  /// Writes the file whole under its name. Throws `RunError.cannotWrite`.
  func write(to path: String, notes: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let json = String(decoding: try encoder.encode(notes), as: UTF8.self)
    do {
      let writer = try SafetensorsWriter(
        path,
        entries: arrays.map {
          .init(name: $0.name, shape: [$0.matrix.rows, $0.matrix.columns], elementType: .f64)
        }, metadata: ["notes": json, "hash": hash(json)])
      for (_, matrix) in arrays {
        try matrix.elements.withUnsafeBytes { try writer.append(stored: $0) }
      }
      // A killed process loses nothing by this; what the machine's end tears, the hash finds.
      try writer.finish(isDurable: false)
    } catch let error as CheckpointError {
      guard case .cannotWrite(_, let reason) = error else { throw error }
      throw RunError.cannotWrite(path: path, reason: reason)
    }
  }

  /// Reads a file; nil when it is not there, or is not what was written.
  ///
  /// Throws `RunError.cannotRead` where the system does not let it be read: then what is in it is not lost.
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
    self.json = json
    for info in file.tensors {
      guard info.elementType == .f64, info.shape.count == 2,
        let tensor = try? file.tensor(info.name)
      else { return nil }
      let numbers = (0..<tensor.count).map {
        tensor.bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Double.self)
      }
      arrays.append(
        (info.name, Matrix(rows: info.shape[0], columns: info.shape[1], elements: numbers)))
    }
    guard (try? file.checkIntact()) != nil, hash(json) == file.metadata["hash"] else { return nil }
  }

  /// The matrix of this name.
  func matrix(_ name: String) -> Matrix<Double>? { arrays.first { $0.name == name }?.matrix }

  /// The notes, if they are of this type.
  func notes<Notes: Decodable>(_ type: Notes.Type) -> Notes? {
    try? JSONDecoder().decode(type, from: Data(json.utf8))
  }

  private func hash(_ json: String) -> String {
    var hash = ContentHash()
    hash.combine(json)
    for (name, matrix) in arrays {
      hash.combine("\(name) \(matrix.rows) \(matrix.columns)")
      hash.combine(matrix.elements)
    }
    return hash.digits
  }
}
