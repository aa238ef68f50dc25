import Checkpoint
import Files
import Foundation
import Lanczos
import LinearAlgebra
import Model
import Weights

extension LoadedModel {
  /// The block size with which the block solver finds `count` triplets of a block fastest on this machine.
  ///
  /// Nil leaves it to the solver, whose choice does not depend on the machine: for small models, for a team that holds blocks
  /// together, in double precision, and where other work on the machine disturbs the measurement. Products with the Jacobian of
  /// the first block at a single token are measured, and kept in the user's cache. All cores take part whatever the run's number
  /// of threads, so that results do not depend on that.
  package func blockSize(for count: Int, precision: PrecisionMode) -> Int? {
    guard precision != .double, model.team == nil, model.largestTensor >= Self.leastWeights
    else { return nil }
    let engine = Engine(threads: max(1, ProcessInfo.processInfo.activeProcessorCount))
    let d = model.description
    let key = ProductTimesCache.Key(
      krylens: krylensVersion, processor: Self.processor,
      instructionSet: engine.instructionSet.name, threads: engine.threads,
      modelType: d.modelType, types: d.storedTypes, width: d.width,
      feedForwardWidth: d.feedForwardWidth, blockBytes: model.bytes(ofBlock: 0))
    let times = ProductTimesCache().times(key) { engine.use { productTimes(model) } }
    return times.map { BlockSizeCost(times: $0, width: d.width, count: count).choice }
  }

  private func productTimes(_ model: some Transformer) -> ProductTimes? {
    defer {
      model.releasePages(ofBlock: 0)
      returnFreedMemory()
    }
    let jacobian = try? MeasuredJacobian(model, layer: 1, tokens: [0], seed: 0)
    return jacobian.flatMap { ProductTimes(measuring: $0.map) }
  }

  /// The fewest weights in the largest matrix for which the machine decides.
  private static let leastWeights = 1 << 18

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
  /// The number of weights in the largest tensor of the first block.
  fileprivate var largestTensor: Int {
    tensorNames(ofBlock: 0).compactMap { source.info($0)?.count }.max() ?? 0
  }
}
