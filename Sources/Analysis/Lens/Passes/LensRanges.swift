import Alignment
import LinearAlgebra

/// The first pass of a fit: samples of the ranges of all averaged Jacobians.
///
/// With Gaussian Ω the samples are Y = Σ_p K_p Cᵀ_p, C_p = Σ_{q≤p} Ω K_q over some of the prompts: visiting each once gives both
/// products, and (Σ K) (Σ K)ᵀ Ω up to the order of the prompts. The squaring helps because the spectra decay slowly. Every shard
/// samples the same prompts in the same directions, so that all have the same basis.
///
/// With several processes a unit is a prompt: the process that has it computes Ω K_p, waits for those of the prompts before, which
/// were begun earlier, and applies K_p to their sum. So no product and no forward pass is done twice, and every sum is taken in
/// the order of the prompts.
struct LensRanges {
  private let products: LensProducts
  private let work: UnitWork<LensManifest>
  private let contributions: LensContributions
  /// Ω.
  private let directions: Matrix<Double>
  /// C, the sum over the first `entered` prompts.
  private var rows: Matrix<Double>
  private var entered = 0
  /// Y, the sum over the first `done` prompts.
  private var samples: Matrix<Double>
  private var done = 0
  /// What the prompts in C cost so far.
  private(set) var cost = LensCost()

  private struct Notes: Codable {
    /// The number of prompts that took part.
    let prompts: Int
    let cost: LensCost
  }

  /// The state that the folder holds, or the beginning.
  init(_ products: LensProducts, _ contributions: LensContributions) throws {
    (self.products, work, self.contributions) = (products, products.work, contributions)
    let count = products.resolved.samples
    var generator = SeededGenerator(seed: products.settings.seed)
    directions = generator.normalMatrix(rows: count, columns: products.width)
    rows = Matrix(rows: count, columns: products.columns)
    samples = Matrix(rows: count, columns: products.width)
    _ = try load()
  }

  private var prompts: [Int] { products.resolved.rangePrompts }

  /// The sketch of the samples of all prompts. `cost` is then that of the pass in the leader.
  mutating func sketch() throws -> LensSketch {
    if work.isLeader { try work.count(2 * samples.rows * done, isNew: false, Self.phase) }
    for place in prompts.indices.dropFirst(done) where try work.claim("range \(place)") {
      try sample(place)
      try work.finish("range \(place)")
      if work.isLeader { try gather() }
    }
    if work.isLeader {
      try work.wait(for: (done..<prompts.count).map { "range \($0)" })
      try enter(through: prompts.count - 1)
      try gather()
      try work.finish("ranges")
    } else {
      try work.wait(for: ["ranges"])
      _ = try work.finished("the samples of the ranges") {
        if done < prompts.count { _ = try load() }
        return done == prompts.count ? true : nil
      }
    }
    return LensSketch(
      range: samples, probes: products.resolved.probes, seed: ~products.settings.seed)
  }

  /// Computes what a prompt adds to both sums, apart from what is kept of it.
  private mutating func sample(_ place: Int) throws {
    let (rowsName, samplesName) = (Self.name("rows", place), Self.name("samples", place))
    let missing = try [rowsName, samplesName].filter { try !contributions.contain($0) }
    try work.count((2 - missing.count) * directions.rows, isNew: false, Self.phase)
    guard !missing.isEmpty else { return try work.finish(rowsName) }
    // A resumed fit that has the first product does not count another check of the adjoint.
    let isFirst = place == 0 && missing.contains(rowsName)
    let map = try products.opened(prompts[place], isFirst: isFirst)
    if missing.contains(rowsName) {
      let product = try products.products(.adjoint, map, of: directions, phase: Self.phase)
      try contributions.keep(.init(product, map.cost(\.rangeSeconds)), as: rowsName)
    }
    try work.finish(rowsName)
    try enter(through: place)
    if missing.contains(samplesName) {
      let product = try products.products(.forward, map, of: rows, phase: Self.phase)
      try contributions.keep(.init(product, map.cost(\.rangeSeconds)), as: samplesName)
    }
  }

  /// Adds what all prompts up to this place have contributed to C.
  private mutating func enter(through place: Int) throws {
    while entered <= place {
      let name = Self.name("rows", entered)
      try work.wait(for: [name])
      // Once the leader has kept a later sum, it removes the contributions.
      _ = try work.finished("a product of prompt \(prompts[entered] + 1)") {
        if let found = try contributions.take(
          name, rows: rows.rows, columns: rows.columns)
        {
          rows.add(found.product)
          cost.add(found.cost)
          entered += 1
          return true
        }
        return try load() ? true : nil
      }
    }
  }

  /// Adds to Y what the prompts in C have contributed and keeps both sums, if all of these prompts are finished.
  private mutating func gather() throws {
    let places = done..<entered
    guard !places.isEmpty, try work.areFinished(places.map { "range \($0)" }) else { return }
    for place in places {
      let found = try work.finished("a product of prompt \(prompts[place] + 1)") {
        try contributions.take(
          Self.name("samples", place), rows: samples.rows, columns: samples.columns)
      }
      samples.add(found.product)
      cost.add(found.cost)
    }
    done = entered
    var file = ArrayFile()
    file.append("samples", samples)
    file.append("rows", rows)
    try work.folder.units.keep(file, notes: Notes(prompts: done, cost: cost), as: "range")
    contributions.remove(places.flatMap { [Self.name("rows", $0), Self.name("samples", $0)] })
  }

  /// Takes the sums from the folder, if they are further than these.
  private mutating func load() throws -> Bool {
    guard let file = try work.folder.units.unit("range"), let notes = file.notes(Notes.self),
      notes.prompts > done, notes.prompts >= entered,
      let keptSamples = file.matrix("samples", rows: samples.rows, columns: samples.columns),
      let keptRows = file.matrix("rows", rows: rows.rows, columns: rows.columns)
    else { return false }
    (samples, rows, cost) = (keptSamples, keptRows, notes.cost)
    (done, entered) = (notes.prompts, notes.prompts)
    return true
  }

  private static let phase = "ranges"

  private static func name(_ kind: String, _ place: Int) -> String { "\(kind)-\(place)" }
}

extension Matrix where Scalar == Double {
  fileprivate mutating func add(_ other: Matrix) {
    for i in elements.indices { elements[i] += other.elements[i] }
  }
}
