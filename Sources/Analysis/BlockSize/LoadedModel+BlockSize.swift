import Checkpoint
import Foundation
import Lanczos
import LinearAlgebra
import Model
import Weights

extension LoadedModel {
  /// The block size with which the block solver finds `count` triplets of a block fastest on this machine; nil for small models,
  /// with which the solver's own choice serves, so that their results do not depend on the machine, and for products in double
  /// precision.
  ///
  /// Products with the largest matrix of the model's middle block are measured, and kept in the user's cache. All cores take part
  /// whatever the run's number of threads, so that results do not depend on that either.
  package func blockSize(for count: Int, precision: PrecisionMode) -> Int? {
    let l = model.description.layers / 2
    guard precision != .double, let whole = model.largestMatrix(ofBlock: l),
      whole.rows * whole.columns >= Self.leastWeights
    else { return nil }
    let matrix = whole.rows(0..<min(whole.rows, max(1, Self.mostWeights / whole.columns)))
    let engine = Engine(threads: max(1, ProcessInfo.processInfo.activeProcessorCount))
    let key = ProductTimesCache.Key(
      krylens: krylensVersion, processor: Self.processor,
      instructionSet: engine.instructionSet.name, threads: engine.threads,
      type: matrix.elementType.name, rows: matrix.rows, columns: matrix.columns)
    let times = ProductTimesCache().times(key) {
      defer { model.releasePages(ofBlock: l) }
      return engine.use { ProductTimes(measuring: matrix) }
    }
    guard let times else { return nil }
    return BlockSizeCost(
      times: times,
      matrices: Double(model.bytes(ofBlock: l, tokens: 1)) / Double(matrix.weightBytes),
      width: model.description.width, count: count
    ).choice
  }

  /// The fewest weights in the largest matrix for which the machine decides.
  private static let leastWeights = 1 << 18
  /// The most weights that are measured.
  private static let mostWeights = 1 << 24

  /// The processor's name, as the system has it.
  private static var processor: String {
    guard let file = fopen("/proc/cpuinfo", "r") else { return BLAS.coreName }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(
        decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard text.hasPrefix("model name"), let colon = text.firstIndex(of: ":") else { continue }
      return text[text.index(after: colon)...].trimmingCharacters(in: .whitespacesAndNewlines)
    }
    return BLAS.coreName
  }
}

extension Transformer {
  /// The matrix of a block with the most weights, one of them where several are stored in a stack; nil if there is none that
  /// can be read.
  fileprivate func largestMatrix(ofBlock index: Int) -> StoredMatrix? {
    let stored = tensorNames(ofBlock: index).compactMap { source.info($0) }
      .filter { (2...3).contains($0.shape.count) && !$0.shape.contains(0) }
    let largest = stored.max { $0.matrixCount < $1.matrixCount }
    guard let name = largest?.name, let tensor = try? source.tensor(name) else { return nil }
    let shape = tensor.shape
    return shape.count == 2
      ? try? tensor.matrix()
      : try? tensor.matrices(count: shape[0], rows: shape[1], columns: shape[2]).first
  }
}

extension TensorInfo {
  /// The number of elements of a matrix, or of one in a stack.
  fileprivate var matrixCount: Int { shape.suffix(2).reduce(1, *) }
}
