import Alignment
import LinearAlgebra

/// The sum of the second pass of a fit: the leader adds the prompts' products in the order of the list as they are finished.
struct LensSummation {
  /// The sum so far.
  private(set) var fit: LensFit
  /// The cost of the fit so far.
  private(set) var cost: LensCost
  private let work: UnitWork<LensManifest>
  private let contributions: LensContributions
  private let positions: [Int]
  private let part: Range<Int>
  /// The contributions in the sum, but not in the kept one.
  private var unkept: [String] = []
  private var last = monotonicSeconds()
  private var pause = Self.unkeptSeconds

  /// Work is kept after this many seconds, and after at least this many times the seconds that keeping it takes.
  private static let unkeptSeconds = 10.0
  private static let unkeptShare = 20.0

  /// The sum that the folder holds, if it is in this basis, or the beginning. `cost` is that of the first pass.
  init(
    _ sketch: LensSketch, _ resolved: ResolvedLens, _ work: UnitWork<LensManifest>,
    _ contributions: LensContributions, part: Range<Int>, cost: LensCost
  ) throws {
    (self.work, self.contributions, self.part) = (work, contributions, part)
    (positions, self.cost) = (resolved.positions, cost)
    fit = LensFit(
      sketch: sketch, sums: LensSums(sketch, boundaries: resolved.boundaries.count),
      boundaries: resolved.boundaries)
    if let kept = try work.folder.units.unit("sums").flatMap(LensSumsFile.init),
      kept.fit.sketch == sketch,
      kept.fit.boundaries == fit.boundaries, kept.fit.sums.prompts <= part.count
    {
      (fit, self.cost) = (kept.fit, kept.cost)
    }
  }

  /// The name of a prompt's unit, and of its contribution.
  static func unit(_ p: Int) -> String { "fit-\(p)" }
  /// The name under which it is announced that a prompt is in the sum.
  static func added(_ p: Int) -> String { "added-\(p)" }

  private var next: Int { part.lowerBound + fit.sums.prompts }

  /// Adds the prompts that are finished, up to the first that is not.
  mutating func addFinished() throws {
    while next < part.upperBound, try work.areFinished([Self.unit(next)]) {
      let p = next
      let (rows, columns) = (fit.sketch.cotangents.rows, fit.boundaries.count * fit.sketch.width)
      let found = try work.finished("the product of prompt \(p + 1)") {
        try contributions.take(Self.unit(p), rows: rows, columns: columns)
      }
      fit.sums.add(found.product, positions: positions[p], place: p)
      cost.add(found.cost)
      unkept.append(Self.unit(p))
      try work.finish(Self.added(p))
      if next < part.upperBound, monotonicSeconds() - last > pause { try keep() }
    }
  }

  /// Adds all prompts, waiting for those that other processes have.
  mutating func addAll() throws {
    while next < part.upperBound {
      try work.wait(for: [Self.unit(next)])
      try addFinished()
    }
  }

  /// Keeps the sum in the folder, unless it is kept already.
  mutating func keep() throws {
    guard !unkept.isEmpty else { return }
    let start = monotonicSeconds()
    let file = LensSumsFile(fit, cost)
    try work.folder.units.keep(file.arrays, notes: file.notes, as: "sums")
    contributions.remove(unkept)
    unkept = []
    last = monotonicSeconds()
    pause = max(Self.unkeptSeconds, Self.unkeptShare * (last - start))
  }
}
