import Autodiff
import Files
import LinearAlgebra
import Model

/// Products with the prompts' maps in a fit.
struct LensProducts {
  let loaded: LoadedModel
  let resolved: ResolvedLens
  let settings: LensSettings
  let work: UnitWork<LensManifest>

  /// The map of an open prompt.
  final class OpenedMap {
    fileprivate let map: CheckedOperator
    fileprivate let label: PromptLabel
    /// How many vectors are applied together.
    fileprivate let width: Int
    private var last: (seconds: Double, applications: ApplicationCount)

    fileprivate init(
      _ program: Linearization<Float>, _ label: PromptLabel, since start: Double
    ) {
      map = CheckedOperator(program)
      self.label = label
      width = LensProducts.width(of: program)
      last = (start, ApplicationCount())
    }

    /// The cost since the map was opened, or since the last call; `phase` are the seconds it belongs to.
    func cost(_ phase: WritableKeyPath<LensCost, Double>) -> LensCost {
      let (before, now) = (last, (seconds: monotonicSeconds(), applications: map.applications[0]))
      var cost = LensCost()
      cost.applications.jvp = now.applications.jvp - before.applications.jvp
      cost.applications.vjp = now.applications.vjp - before.applications.vjp
      cost.passes = now.applications.passes - before.applications.passes
      cost[keyPath: phase] = now.seconds - before.seconds
      last = now
      return cost
    }
  }

  /// The number of columns of K_p: those of all boundaries side by side.
  var columns: Int { resolved.boundaries.count * width }
  /// The model's width.
  var width: Int { loaded.model.description.width }

  /// Opens K_p = [S_p,0 … S_p,L−1] of one prompt. The first one of a fit is checked against its adjoint.
  func opened(_ p: Int, isFirst: Bool) throws -> OpenedMap {
    let start = monotonicSeconds()
    return try RunError.naming(loaded.labels[p]) {
      let opened = OpenedMap(try program(p), loaded.labels[p], since: start)
      if isFirst { try opened.map.checkAdjoint(seed: settings.seed) }
      return opened
    }
  }

  /// Applies a map to vectors (rows).
  func products(
    _ direction: ProductDirection, _ opened: OpenedMap, of vectors: Matrix<Double>, phase: String
  ) throws -> Matrix<Double> {
    let width = opened.width
    var results: [Double] = []
    for start in stride(from: 0, to: vectors.rows, by: width) {
      let block = vectors.rows(start..<min(start + width, vectors.rows))
      let products = try RunError.naming(opened.label) {
        try opened.map.products(direction, of: block, width: width)
      }
      results += products.elements
      try work.count(block.rows, isNew: true, phase)
      try work.check()
    }
    return Matrix(rows: vectors.rows, columns: results.count / vectors.rows, elements: results)
  }

  private func program(_ p: Int) throws -> Linearization<Float> {
    try linearizeBoundaries(
      resolved.boundaries, skipping: settings.skip, of: [loaded.prompts[p].input],
      in: loaded.model, as: Float.self)
  }

  // MARK: Memory

  /// Bytes of the vectors that are applied together.
  private static let workspaceBytes = 1 << 26

  fileprivate static func width(of program: Linearization<Float>) -> Int {
    max(1, workspaceBytes / max(1, program.workspaceBytes(vectors: 1)))
  }

  /// Throws `RunError.badSetting` if the products of the longest prompt and the sums would exceed a memory limit.
  func requireMemory(within limit: Int) throws {
    let lengths = loaded.lengths
    let longest = lengths.indices.max { lengths[$0] < lengths[$1] } ?? 0
    let program = try program(longest)
    let rows = resolved.rows(width: width)
    let parts = [
      ("the programs and the model's values", MemoryMeter.privateBytes),
      ("products", program.workspaceBytes(vectors: min(rows, Self.width(of: program)))),
      // Both halves, a prompt's products in pieces and as a whole, and what is written of them.
      ("sums", 5 * rows * columns * MemoryLayout<Double>.stride),
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
}
