import Alignment
import Autodiff
import Files
import LinearAlgebra
import Model

/// The two passes of a fit over the prompts, with their intermediate results kept in a folder.
final class LensPass {
  /// The cost so far.
  private(set) var cost = LensCost()
  private let loaded: LoadedModel
  private let resolved: ResolvedLens
  private let settings: LensSettings
  private let folder: ResultFolder<LensManifest>
  private let progress: (any RunProgress)?
  private let part: Range<Int>
  private var count: VectorCount

  init(
    _ loaded: LoadedModel, _ resolved: ResolvedLens, _ settings: LensSettings,
    _ folder: ResultFolder<LensManifest>, _ progress: (any RunProgress)?, part: Range<Int>
  ) {
    (self.loaded, self.resolved, self.settings) = (loaded, resolved, settings)
    (self.folder, self.progress, self.part) = (folder, progress, part)
    let rows =
      resolved.samples == 0
      ? loaded.model.description.width : resolved.samples + resolved.probes
    count = VectorCount(
      total: 2 * resolved.rangePrompts.count * resolved.samples + part.count * rows)
  }

  private var boundaries: Int { resolved.boundaries.count }
  private var width: Int { loaded.model.description.width }

  // MARK: First pass

  private struct RangeNotes: Codable {
    /// The number of prompts that took part.
    let prompts: Int
    let cost: LensCost
  }

  /// W: an orthonormal basis of samples of the ranges, with probes beside it; the whole space if that is no larger.
  ///
  /// With Gaussian Ω the samples are Y = Σ_p K_p Cᵀ_p, C_p = Σ_{q≤p} Ω K_q over some of the prompts: visiting each once gives
  /// both products, and (Σ K) (Σ K)ᵀ Ω up to the order of the prompts. The squaring helps because the spectra decay slowly.
  /// Every shard samples the same prompts in the same directions, so that all have the same basis.
  func sampleRanges() throws -> LensSketch {
    guard resolved.samples > 0 else { return LensSketch(width: width) }
    var generator = SeededGenerator(seed: settings.seed)
    let directions = generator.normalMatrix(rows: resolved.samples, columns: width)
    var samples = Matrix<Double>(rows: resolved.samples, columns: width)
    var rows = Matrix<Double>(rows: resolved.samples, columns: boundaries * width)
    var done = 0
    if let file = try folder.units.unit("range"), let notes = file.notes(RangeNotes.self),
      let kept = file.matrix("samples"), kept.rows == samples.rows, kept.columns == width,
      let keptRows = file.matrix("rows"), keptRows.rows == rows.rows,
      keptRows.columns == rows.columns
    {
      (samples, rows, done, cost) = (kept, keptRows, notes.prompts, notes.cost)
    }
    count.skip(2 * resolved.samples * done)
    for (place, p) in resolved.rangePrompts.enumerated().dropFirst(done) {
      let start = monotonicSeconds()
      let map = try opened(p)
      rows.add(try products(.adjoint, map, of: directions, prompt: p, phase: "ranges"))
      samples.add(try products(.forward, map, of: rows, prompt: p, phase: "ranges"))
      spend(map)
      cost.rangeSeconds += monotonicSeconds() - start
      var file = ArrayFile()
      file.append("samples", samples)
      file.append("rows", rows)
      try folder.units.keep(file, notes: RangeNotes(prompts: place + 1, cost: cost), as: "range")
    }
    return LensSketch(range: samples, probes: resolved.probes, seed: ~settings.seed)
  }

  // MARK: Second pass

  /// Work is kept after this many seconds, and after at least this many times the seconds that keeping it takes.
  private static let unkeptSeconds = 10.0
  private static let unkeptShare = 20.0

  /// The sum Σ M S_p over the prompts.
  func fit(_ sketch: LensSketch) throws -> LensFit {
    var fit = LensFit(
      sketch: sketch, sums: LensSums(sketch, boundaries: boundaries),
      boundaries: resolved.boundaries)
    if let kept = try folder.units.unit("sums").flatMap(LensSumsFile.init),
      kept.fit.sketch == sketch,
      kept.fit.boundaries == fit.boundaries, kept.fit.sums.prompts <= part.count
    {
      (fit, cost) = (kept.fit, kept.cost)
    }
    let cotangents = sketch.cotangents
    var (last, pause) = (monotonicSeconds(), Self.unkeptSeconds)
    var keptPrompts = fit.sums.prompts
    count.skip(cotangents.rows * fit.sums.prompts)
    for p in part.dropFirst(fit.sums.prompts) {
      let start = monotonicSeconds()
      let products: Matrix<Double>
      do {
        let map = try opened(p)
        products = try self.products(.adjoint, map, of: cotangents, prompt: p, phase: "fit")
        spend(map)
      } catch RunError.interrupted {
        if fit.sums.prompts > keptPrompts { try keep(fit) }
        throw RunError.interrupted(resume: folder.keepsWork ? folder.path : nil)
      }
      fit.sums.add(products, positions: resolved.positions[p], place: p)
      let now = monotonicSeconds()
      cost.fitSeconds += now - start
      guard now - last > pause, p + 1 < part.upperBound else { continue }
      try keep(fit)
      keptPrompts = fit.sums.prompts
      last = monotonicSeconds()
      pause = max(Self.unkeptSeconds, Self.unkeptShare * (last - now))
    }
    return fit
  }

  private func keep(_ fit: LensFit) throws {
    let file = LensSumsFile(fit, cost)
    try folder.units.keep(file.arrays, notes: file.notes, as: "sums")
  }

  // MARK: Products

  /// Bytes of the vectors that are applied together.
  private static let workspaceBytes = 1 << 26

  /// A prompt's map, and how many vectors are applied to it together.
  private struct OpenedMap {
    let map: CheckedOperator
    let width: Int
  }

  /// K_p = [S_p,0 … S_p,L−1] of one prompt. The first one of a fit is checked against its adjoint.
  private func opened(_ p: Int) throws -> OpenedMap {
    try RunError.naming(loaded.labels[p]) {
      let program = try program(p)
      let map = CheckedOperator(program)
      if cost.passes == 0 { try map.checkAdjoint(seed: settings.seed) }
      return OpenedMap(map: map, width: Self.width(of: program))
    }
  }

  private func program(_ p: Int) throws -> Linearization<Float> {
    try linearizeBoundaries(
      resolved.boundaries, skipping: settings.skip, of: [loaded.prompts[p].input],
      in: loaded.model, as: Float.self)
  }

  private static func width(of program: Linearization<Float>) -> Int {
    max(1, workspaceBytes / max(1, program.workspaceBytes(vectors: 1)))
  }

  /// Throws `RunError.badSetting` if the products of the longest prompt and the sums would exceed a memory limit.
  func requireMemory(within limit: Int) throws {
    let lengths = loaded.lengths
    let longest = lengths.indices.max { lengths[$0] < lengths[$1] } ?? 0
    let program = try program(longest)
    let rows =
      resolved.samples == 0
      ? loaded.model.description.width : resolved.samples + resolved.probes
    let parts = [
      ("the programs and the model's values", MemoryMeter.privateBytes),
      ("products", program.workspaceBytes(vectors: min(rows, Self.width(of: program)))),
      // Both halves, a prompt's products in pieces and as a whole, and what is written of them.
      ("sums", 5 * rows * boundaries * width * MemoryLayout<Double>.stride),
      (
        "weights",
        (0..<loaded.model.description.layers).reduce(0) { $0 + loaded.model.bytes(ofBlock: $1) }
      ),
    ]
    let needed = parts.reduce(0) { $0 + $1.1 }
    guard needed > limit else { return }
    throw RunError.badSetting(
      .maxMemory, value: spokenBytes(limit),
      reason: "the fit is predicted to need \(spokenBytes(needed)), the largest part for "
        + "\(parts.max { $0.1 < $1.1 }?.0 ?? "weights"); allow more, or lower \(.rank) or the prompts' length"
    )
  }

  /// Applies the map to vectors (rows).
  private func products(
    _ direction: ProductDirection, _ opened: OpenedMap, of vectors: Matrix<Double>,
    prompt p: Int, phase: String
  ) throws -> Matrix<Double> {
    let width = opened.width
    var results: [Double] = []
    for start in stride(from: 0, to: vectors.rows, by: width) {
      let block = vectors.rows(start..<min(start + width, vectors.rows))
      let products = try RunError.naming(loaded.labels[p]) {
        try opened.map.products(direction, of: block, width: width)
      }
      results += products.elements
      progress?.update(count.add(block.rows, phase))
      if progress?.isCancelled == true {
        throw RunError.interrupted(resume: folder.keepsWork ? folder.path : nil)
      }
    }
    return Matrix(rows: vectors.rows, columns: results.count / vectors.rows, elements: results)
  }

  /// Adds the applications of a map to the cost.
  private func spend(_ opened: OpenedMap) {
    let applied = opened.map.applications[0]
    cost.applications.jvp += applied.jvp
    cost.applications.vjp += applied.vjp
    cost.passes += applied.passes
  }
}

extension Matrix where Scalar == Double {
  fileprivate mutating func add(_ other: Matrix) {
    for i in elements.indices { elements[i] += other.elements[i] }
  }
}

/// The progress of the products, in vectors, and the time the rest will take.
private struct VectorCount {
  private let total: Int
  private var done = 0
  private var computed = 0
  private let start = monotonicSeconds()

  init(total: Int) { self.total = total }

  /// Counts vectors whose products were kept earlier.
  mutating func skip(_ vectors: Int) { done += vectors }

  /// Counts vectors whose products were computed now.
  mutating func add(_ vectors: Int, _ phase: String) -> RunProgressState {
    done += vectors
    computed += vectors
    let each = (monotonicSeconds() - start) / Double(computed)
    return RunProgressState(
      phase: phase, completed: done, total: total, secondsLeft: each * Double(total - done))
  }
}
