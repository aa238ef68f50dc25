import Checkpoint
import LinearAlgebra
import Model

/// `triplets.safetensors` of a finished run of `align` or `triplets`, opened for reading.
struct StoredTriplets {
  private let file: SafetensorsFile
  private let folder: String

  /// Opens the file in a run folder. Throws `RunError.badRun`.
  init(_ folder: String) throws(RunError) {
    self.folder = folder
    do {
      file = try SafetensorsFile("\(folder)/triplets.safetensors")
    } catch {
      throw .badRun(path: folder, reason: "\(error)")
    }
  }

  /// The prefix of a Jacobian's arrays in a run of `align`: `p0.l1`, or `p0.l1.t3` or `p0.l1.f3.t9` if the run may have several
  /// Jacobians per block.
  static func name(
    prompt p: Int, layer: Int, _ tokens: TokenSelection, variesTokens: Bool
  ) -> String {
    let place =
      tokens.isSingle ? "t\(tokens.target)" : "f\(tokens.source).t\(tokens.target)"
    return "p\(p).l\(layer)" + (variesTokens ? ".\(place)" : "")
  }

  /// The first rows of a matrix, in double precision. Throws `RunError.badRun`.
  func matrix(_ name: String, top: Int = .max) throws(RunError) -> Matrix<Double> {
    guard let info = file.info(name), info.shape.count == 2, info.elementType == .f32 else {
      throw .badRun(path: folder, reason: "triplets.safetensors: it has no matrix \(name)")
    }
    let rows = min(top, info.shape[0])
    let numbers = try numbers(name, count: rows * info.shape[1])
    return Matrix(rows: rows, columns: info.shape[1], elements: numbers)
  }

  /// A list of numbers. Throws `RunError.badRun`.
  func list(_ name: String) throws(RunError) -> [Double] {
    guard let info = file.info(name), info.shape.count == 1, info.elementType == .f32 else {
      throw .badRun(path: folder, reason: "triplets.safetensors: it has no list \(name)")
    }
    return try numbers(name, count: info.shape[0])
  }

  private func numbers(_ name: String, count: Int) throws(RunError) -> [Double] {
    do {
      let numbers = Array(try file.tensor(name).numbers().prefix(count))
      try file.checkIntact()
      return numbers.map { Double($0) }
    } catch {
      throw .badRun(path: folder, reason: "\(error)")
    }
  }
}
