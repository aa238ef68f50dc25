import Alignment
import Foundation
import Lanczos
import LinearAlgebra
import TestSupport
import Testing

@testable import Analysis

/// The block size: given, chosen by what products cost, and followed by runs that resume.
struct BlockSizeTests {
  private static func times(_ seconds: (Double) -> Double, orthogonalisation: Double = 1e-15)
    -> ProductTimes
  {
    ProductTimes(
      products: ProductTimes.blockSizes.map { seconds(Double($0)) },
      orthogonalisation: orthogonalisation)
  }

  private static func choice(_ times: ProductTimes, count: Int = 10) -> Int {
    BlockSizeCost(times: times, width: 1000, count: count).choice
  }

  /// Where a product costs the same for any block, the widest wins; where each vector costs the same, the narrowest, since the
  /// number of vectors grows with the block. A gain that is not clear changes nothing.
  @Test(arguments: [10, 100])
  func theChoiceFollowsCost(count: Int) {
    let usual = count == 10 ? 8 : 16
    #expect(Self.choice(Self.times { _ in 1 }, count: count) == 16)
    #expect(Self.choice(Self.times { $0 }, count: count) == 6)
    // Seconds that grow as the passes fall: all sizes take the same time.
    #expect(Self.choice(Self.times { pow($0, 0.45) }, count: count) == usual)
    let slight = pow(6.0, 0.45) * 0.92
    #expect(
      Self.choice(Self.times { $0 == 6 ? slight : pow($0, 0.45) }, count: count) == usual)
    // Orthogonalisation, which grows with the square of the number of vectors, speaks for narrow blocks.
    #expect(Self.choice(Self.times({ _ in 1e-9 }, orthogonalisation: 1), count: count) == 6)
  }

  /// Whether times are confirmed depends on the machine's load, that they are times does not.
  @Test func productsAreMeasured() {
    var random = SeededGenerator(seed: 1)
    let a = random.normalMatrix(rows: 90, columns: 60)
    #expect(ProductTimes(measuring: DenseOperator(a))?.isValid ?? true)
  }

  /// Times are measured once; a damaged file or a folder that cannot be made only means that they are measured again.
  @Test func timesAreKept() throws {
    let scratch = try ScratchFolder()
    let cache = ProductTimesCache(folder: scratch["cache"])
    let key = ProductTimesCache.Key(
      krylens: "1", processor: "p", instructionSet: "avx2", threads: 2, modelType: "llama",
      types: ["F32", "Q4_K"], width: 256, feedForwardWidth: 512, blockBytes: 1)
    let (first, second) = (Self.times { $0 / 3 }, Self.times { 1 / $0 })
    #expect(cache.times(key) { first } == first)
    #expect(cache.times(key) { second } == first)
    let wider = ProductTimesCache.Key(
      krylens: "1", processor: "p", instructionSet: "avx2", threads: 2, modelType: "llama",
      types: ["F32", "Q4_K"], width: 256, feedForwardWidth: 512, blockBytes: 2)
    #expect(cache.times(wider) { second } == second)
    for damaged in ["", "{}", #"{"key": 3}"#] {
      try Data(damaged.utf8).write(to: URL(fileURLWithPath: cache.path(of: key)))
      #expect(cache.times(key) { second } == second)
      #expect(cache.times(key) { first } == second)
    }
    // Times that no machine has.
    let invalid = [
      ProductTimes(products: [1], orthogonalisation: 1), Self.times { _ in -1 },
      Self.times { _ in 0 },
    ]
    for times in invalid {
      try FileManager.default.removeItem(atPath: cache.path(of: key))
      _ = cache.times(key) { times }
      #expect(cache.times(key) { first } == first)
    }
    // A machine that was too busy is not asked again, so that its results do not change.
    try FileManager.default.removeItem(atPath: cache.path(of: key))
    #expect(cache.times(key) { nil } == nil)
    #expect(cache.times(key) { first } == nil)
    let blocked = ProductTimesCache(folder: "\(cache.path(of: key))/folder")
    #expect(blocked.times(key) { second } == second)
  }

  @Test func theCacheFolderIsTheUsers() {
    let folder = { ProductTimesCache(environment: $0).folder }
    #expect(folder(["HOME": "/h", "XDG_CACHE_HOME": "/x"]) == "/x/krylens")
    #expect(folder(["HOME": "/h", "XDG_CACHE_HOME": ""]) == "/h/.cache/krylens")
    #expect(folder(["HOME": "/h"]) == "/h/.cache/krylens")
  }

  private static func run(blockSize: Int?) throws -> AlignmentRun {
    var settings = RunSettings(model: ModelFixture("llama").folder, name: "llama", threads: 1)
    (settings.top, settings.ranks, settings.solver) = (3, [3], .block)
    settings.blockSize = blockSize
    return try AlignmentRun(settings, prompts: [.tokens([5, 3, 9])])
  }

  private static func record(_ blockSize: Int?, in folder: RunFolder? = nil) throws -> RunRecord {
    try run(blockSize: blockSize).run(in: folder, meter: MemoryMeter()).record
  }

  /// The record says which size was used; a small model's does not depend on the machine.
  @Test func theRecordHoldsTheSize() throws {
    for size in [1, 5] {
      let record = try Self.record(size)
      #expect(record.prompts[0].layers.allSatisfy { $0.blockSize == size && $0.converged })
      #expect(record.settings.blockSize == size)
    }
    #expect(try Self.run(blockSize: nil).manifest().blockSize == nil)
    #expect(try Self.record(nil).prompts[0].layers.allSatisfy { $0.blockSize == 8 })
  }

  /// A run that resumes has the block size that it was started with, whatever this machine would choose, and a size that is given
  /// must be the same.
  @Test func runsFollowTheFirstChoice() throws {
    let scratch = try ScratchFolder()
    var manifest = try Self.run(blockSize: nil).manifest()
    manifest.blockSize = 3
    _ = try RunFolder(scratch["run"], for: manifest)
    let resumed = try RunFolder(scratch["run"], for: try Self.run(blockSize: nil).manifest())
    #expect(resumed.manifest.blockSize == 3)
    let found = try Self.record(nil, in: resumed).prompts[0].layers
    let given = try Self.record(3).prompts[0].layers
    #expect(found.allSatisfy { $0.blockSize == 3 })
    #expect(found.map(\.singularValues) == given.map(\.singularValues))
    let other = try manifest.obstacle(to: try Self.run(blockSize: 5).manifest())
    #expect(other?.description.hasPrefix("`block_size` is ") == true)
  }

  @Test func mapsFollowTheFirstChoice() throws {
    var settings = MapSettings(
      ModelSettings(model: ModelFixture("llama").folder, name: "llama", threads: 1))
    (settings.solution.top, settings.solution.solver) = (3, .block)
    let scratch = try ScratchFolder()
    let run = try MapRun(settings, prompts: [.tokens([5, 3, 9])])
    var manifest = try run.manifest()
    #expect(manifest.blockSize == nil)
    manifest.blockSize = 2
    _ = try MapRun.Folder(scratch["run"], for: manifest)
    let folder = try MapRun.Folder(scratch["run"], for: try run.manifest())
    let record = try run.run(in: folder, meter: MemoryMeter())
    #expect(record?.prompts[0].map?.blockSize == 2)
  }

  @Test(arguments: [0, 33, -1, .max, .min])
  func impossibleSizesAreRefused(size: Int) {
    let failure = #expect(throws: RunError.self) { try Self.run(blockSize: size) }
    #expect(failure?.description.contains("`block_size` \(size): must be from 1 to 32") == true)
  }

  @Test(arguments: [SolverKind.dense, .arpack, .randomized])
  func otherSolversHaveNoBlockSize(solver: SolverKind) {
    #expect(throws: RunError.self) { try solver.check(blockSize: 4) }
    #expect(throws: Never.self) { try solver.check(blockSize: nil) }
  }

  /// Narrower blocks need more passes and fewer vectors.
  @Test func plansCountTheSize() {
    let costs = [2, 4, 8, 16].map {
      SolverCost(.block, width: 4096, count: 10, batch: 1, certify: .auto, blockSize: $0)
    }
    #expect(costs.map(\.vectors) == [2, 4, 8, 16])
    for (narrow, wide) in zip(costs, costs.dropFirst()) {
      #expect(narrow.passes > wide.passes && narrow.basisBytes < wide.basisBytes)
    }
  }
}
