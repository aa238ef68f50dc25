import Alignment
import Files
import Foundation
import LinearAlgebra
import Processes

/// The two passes of a fit over the prompts, with their intermediate results kept in a folder.
final class LensPass {
  /// The cost so far; in the leader, of all processes.
  private(set) var cost = LensCost()
  private let resolved: ResolvedLens
  private let products: LensProducts
  private let work: UnitWork<LensManifest>
  private let contributions: LensContributions
  private let part: Range<Int>

  init(
    _ loaded: LoadedModel, _ resolved: ResolvedLens, _ settings: LensSettings,
    _ folder: ResultFolder<LensManifest>, _ processes: RunProcesses,
    _ progress: (any RunProgress)?, part: Range<Int>
  ) {
    let rows = resolved.rows(width: loaded.model.description.width)
    let total = 2 * resolved.rangePrompts.count * resolved.samples + part.count * rows
    work = UnitWork(folder, processes, progress, total: total)
    products = LensProducts(loaded: loaded, resolved: resolved, settings: settings, work: work)
    contributions = LensContributions(folder.units, isShared: work.isShared)
    (self.resolved, self.part) = (resolved, part)
  }

  /// Throws `RunError.badSetting` if the products of the longest prompt and the sums would exceed a memory limit.
  func requireMemory(within limit: Int) throws { try products.requireMemory(within: limit) }

  /// W: an orthonormal basis of samples of the ranges, with probes beside it; the whole space if that is no larger.
  func sampleRanges() throws -> LensSketch {
    guard resolved.samples > 0 else { return LensSketch(width: products.width) }
    var ranges = try LensRanges(products, contributions)
    let sketch = try ranges.sketch()
    cost = ranges.cost
    return sketch
  }

  // MARK: Second pass

  /// How many prompts per process may be under way or wait to be added: enough that one much longer than the others seldom makes
  /// the processes wait, and few enough that their products fit on the disk.
  private static let waitingPerProcess = 4

  /// The sum Σ M S_p over the prompts; nil if it is another process that adds them.
  func fit(_ sketch: LensSketch) throws -> LensFit? {
    let cotangents = sketch.cotangents
    guard work.isLeader else {
      // The first prompt that is not in the sum yet.
      let first = try work.wait(for: [Self.started]).compactMap {
        Int(String(decoding: $0, as: UTF8.self))
      }[0]
      for p in part.dropFirst(first) {
        let before = p - Self.waitingPerProcess * work.teams
        if before >= part.lowerBound + first { try work.wait(for: [LensSummation.added(before)]) }
        try measure(p, cotangents)
      }
      try work.leave()
      return nil
    }
    var summation = try LensSummation(
      sketch, resolved, work, contributions, part: part, cost: cost)
    defer { cost = summation.cost }
    let first = summation.fit.sums.prompts
    try work.count(cotangents.rows * first, isNew: false, Self.phase)
    try work.finish(Self.started, note: Data("\(first)".utf8))
    do {
      for p in part.dropFirst(first) {
        try measure(p, cotangents)
        try summation.addFinished()
      }
      try summation.addAll()
      try work.leave()
    } catch RunError.interrupted {
      try summation.keep()
      throw RunError.interrupted(resume: work.folder.keepsWork ? work.folder.path : nil)
    }
    return summation.fit
  }

  /// Computes M K_p unless it is kept, or another process has the prompt.
  private func measure(_ p: Int, _ cotangents: Matrix<Double>) throws {
    guard try work.claim(LensSummation.unit(p)) else { return }
    if try contributions.contain(LensSummation.unit(p)) {
      try work.count(cotangents.rows, isNew: false, Self.phase)
    } else {
      let map = try products.opened(
        p, isFirst: resolved.samples == 0 && p == part.lowerBound)
      let product = try products.products(.adjoint, map, of: cotangents, phase: Self.phase)
      try contributions.keep(
        LensContribution(product, map.cost(\.fitSeconds)), as: LensSummation.unit(p))
    }
    try work.finish(LensSummation.unit(p))
  }

  private static let phase = "fit"
  private static let started = "sums"
}
