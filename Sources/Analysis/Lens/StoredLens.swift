import Alignment
import Checkpoint
import Files
import Foundation
import LinearAlgebra

/// A lens on disk: the folder of a fit, its `lens.safetensors`, or a file written by torch.save.
///
/// Everything in a file that can be checked is checked: shapes agree, boundaries are before the last, and numbers are finite
/// when they are read.
package struct StoredLens {
  /// The path of the lens.
  package let path: String
  /// Width d.
  package let width: Int
  /// Source boundaries, ascending: 0 enters the first block.
  package let boundaries: [Int]
  /// The fingerprint of the model it was fitted on; nil if the file does not say.
  package let fingerprint: String?
  /// The folder's `result.json`; nil for a file.
  package let record: LensRecord?
  private let source: Source

  private enum Source {
    case arrays(SafetensorsFile, isDense: Bool)
    case torch(TorchLensFile)
  }

  /// Opens a lens. Throws `FileError` for a file that is not a lens, and `RunError.unfit` for such a folder.
  package init(_ path: String) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw FileError.cannotRead(file: path, reason: "no such file or folder")
    }
    if isFolder.boolValue {
      let record = try LensRecord(folder: path)
      try self.init(arrays: "\(path)/lens.safetensors", path, record)
      let known = [record.layers.map(\.fromLayer), [record.model.width]]
      guard record.model.fingerprint == fingerprint, known == [boundaries, [width]] else {
        throw RunError.unfit(
          path: path,
          reason: "its lens.safetensors does not belong to its result.json; fit the lens again")
      }
    } else if try Self.isArchive(path) {
      let file = try TorchLensFile(path)
      // In such a file a layer is the output of a block, counted from 0.
      self.init(
        path: path, width: file.width, boundaries: file.layers.map { $0 + 1 }, fingerprint: nil,
        record: nil, source: .torch(file))
    } else {
      try self.init(arrays: path, path, nil)
    }
  }

  /// Whether a file begins like those of torch.save.
  private static func isArchive(_ path: String) throws(FileError) -> Bool {
    let file = try MappedFile(path)
    return withExtendedLifetime(file) { file.bytes.starts(with: Array("PK".utf8)) }
  }

  private init(arrays file: String, _ path: String, _ record: LensRecord?) throws {
    let tensors = try SafetensorsFile(file)
    guard tensors.metadata["format"] == LensProvenance.format,
      let fingerprint = tensors.metadata["fingerprint"]
    else {
      throw FileError.invalidField(
        file: file, field: "__metadata__", reason: "it is not the metadata of a lens")
    }
    var shapes: [Int: [String: [Int]]] = [:]
    for info in tensors.tensors {
      let parts = info.name.split(separator: ".", omittingEmptySubsequences: false)
      guard parts.count == 2, parts[0].first == "l", let l = Int(parts[0].dropFirst()),
        (0..<1 << 16).contains(l), info.name == "l\(l).\(parts[1])", info.elementType == .f32
      else {
        throw FileError.invalidField(
          file: file, field: info.name, reason: "it is not a tensor of a lens")
      }
      shapes[l, default: [:]][String(parts[1])] = info.shape
    }
    let boundaries = shapes.keys.sorted()
    guard let first = boundaries.first, let columns = shapes[first]?["U"]?.last else {
      throw FileError.missingTensor(file: file, tensor: "l0.U")
    }
    let isDense = shapes[first]?["J"] != nil
    for l in boundaries {
      let k = shapes[l]?["S"]?.first ?? 0
      let needed =
        ["U": [k, columns], "S": [k], "V": [k, columns]]
        .merging(isDense ? ["J": [columns, columns]] : [:]) { $1 }
      for (part, shape) in needed.sorted(by: { $0.key < $1.key }) {
        guard let stored = shapes[l]?[part] else {
          throw FileError.missingTensor(file: file, tensor: "l\(l).\(part)")
        }
        guard stored == shape, k > 0 else {
          throw FileError.wrongShape(
            file: file, tensor: "l\(l).\(part)", shape: stored, needed: "\(shape)")
        }
      }
    }
    self.init(
      path: path, width: columns, boundaries: boundaries, fingerprint: fingerprint, record: record,
      source: .arrays(tensors, isDense: isDense))
  }

  private init(
    path: String, width: Int, boundaries: [Int], fingerprint: String?, record: LensRecord?,
    source: Source
  ) {
    (self.path, self.width, self.boundaries) = (path, width, boundaries)
    (self.fingerprint, self.record, self.source) = (fingerprint, record, source)
  }

  /// Throws `RunError.unfit` unless the lens fits the model's width and number of blocks, and its weights if the lens names
  /// them.
  package func check(fits model: ModelRecord) throws(RunError) {
    guard width == model.width else {
      throw .unfit(
        path: path,
        reason:
          "is a lens of width \(width), but \(model.name) has the width \(model.width); fit a lens on this model"
      )
    }
    if let beyond = boundaries.last, beyond >= model.layers {
      throw .unfit(
        path: path,
        reason:
          "has the layer \(beyond), but \(model.name) has the boundaries 0 to \(model.layers); fit "
          + "a lens on this model")
    }
    guard fingerprint == nil || fingerprint == model.fingerprint else {
      let name = record.map { " (\($0.model.name))" } ?? ""
      throw .unfit(
        path: path,
        reason:
          "was fitted on other weights\(name) than those of \(model.name); fit a lens on this model"
      )
    }
  }

  /// The Jacobian J of a boundary (d, d), or the part of it that is kept. Throws `FileError`.
  package func matrix(from boundary: Int) throws -> Matrix<Double> {
    switch source {
    case .torch(let file): return try file.matrix(ofLayer: boundary - 1).converted(to: Double.self)
    case .arrays(let file, isDense: true): return try numbers("l\(boundary).J", file)
    case .arrays(let file, isDense: false):
      let (u, s, v) = try triplets(from: boundary, file)
      return LensLayer.product(s, u, v)
    }
  }

  /// The products J x of some states (rows). Throws `FileError`.
  package func transported(
    _ states: Matrix<Double>, from boundary: Int
  ) throws -> Matrix<Double> {
    guard case .arrays(let file, isDense: false) = source else {
      return .product(states, .none, try matrix(from: boundary), .transposed)
    }
    let (u, s, v) = try triplets(from: boundary, file)
    var inner = Matrix.product(states, .none, v, .transposed)
    for i in 0..<inner.rows { for j in 0..<inner.columns { inner[i, j] *= s[j] } }
    return .product(inner, .none, u)
  }

  /// The largest triplets that are kept; nil if the file holds only J.
  package func keptTriplets(
    from boundary: Int
  ) throws -> (left: Matrix<Double>, values: [Double], right: Matrix<Double>)? {
    guard case .arrays(let file, _) = source else { return nil }
    return try triplets(from: boundary, file)
  }

  private func triplets(
    from boundary: Int, _ file: SafetensorsFile
  ) throws -> (left: Matrix<Double>, values: [Double], right: Matrix<Double>) {
    (
      try numbers("l\(boundary).U", file), try numbers("l\(boundary).S", file).elements,
      try numbers("l\(boundary).V", file)
    )
  }

  /// A tensor's numbers; a vector is one row.
  private func numbers(_ name: String, _ file: SafetensorsFile) throws -> Matrix<Double> {
    let tensor = try file.tensor(name)
    let numbers = tensor.numbers().map { Double($0) }
    tensor.advise(.dontNeed)
    try file.checkIntact()
    guard numbers.allSatisfy(\.isFinite) else {
      throw FileError.invalidField(
        file: file.path, field: name, reason: "it holds NaN or infinity")
    }
    let columns = tensor.shape[tensor.shape.count - 1]
    return Matrix(rows: numbers.count / columns, columns: columns, elements: numbers)
  }
}
