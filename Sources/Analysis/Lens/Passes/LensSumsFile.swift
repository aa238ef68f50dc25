import Alignment
import LinearAlgebra

/// The measurements of a fit and their cost, as arrays and notes: kept while the fit is running, and for shards until a merge.
struct LensSumsFile {
  let fit: LensFit
  let cost: LensCost

  init(_ fit: LensFit, _ cost: LensCost) { (self.fit, self.cost) = (fit, cost) }

  /// The notes beside the arrays.
  struct Notes: Codable {
    let boundaries: [Int]
    let prompts: Int
    let positions: [Int]
    let squares: [Double]
    let cost: LensCost
  }

  var notes: Notes {
    Notes(
      boundaries: fit.boundaries, prompts: fit.sums.prompts,
      positions: fit.sums.halves.map(\.positions), squares: fit.sums.squares, cost: cost)
  }

  /// The arrays `basis`, `probes`, and the two halves of each boundary's sum.
  var arrays: ArrayFile {
    var file = ArrayFile()
    file.append("basis", fit.sketch.basis)
    file.append("probes", fit.sketch.probes)
    for (h, half) in fit.sums.halves.enumerated() {
      for (place, products) in half.products.enumerated() {
        file.append("l\(fit.boundaries[place]).\(h)", products)
      }
    }
    return file
  }

  /// Reads such a file; nil if it holds something else.
  init?(_ file: ArrayFile) {
    guard let notes = file.notes(Notes.self), let basis = file.matrix("basis"),
      let probes = file.matrix("probes"), basis.columns == probes.columns,
      notes.positions.count == 2, notes.squares.count == notes.boundaries.count,
      !notes.boundaries.isEmpty
    else { return nil }
    var halves: [LensSums.Half] = []
    for (h, positions) in notes.positions.enumerated() {
      var half = LensSums.Half(positions: positions, products: [])
      for l in notes.boundaries {
        guard let products = file.matrix("l\(l).\(h)"), products.columns == basis.columns,
          products.rows == basis.rows + probes.rows
        else { return nil }
        half.products.append(products)
      }
      halves.append(half)
    }
    cost = notes.cost
    fit = LensFit(
      sketch: LensSketch(basis: basis, probes: probes),
      sums: LensSums(prompts: notes.prompts, halves: halves, squares: notes.squares),
      boundaries: notes.boundaries)
  }
}

/// The measurements of a fit: sums in some directions, and those directions.
struct LensFit {
  let sketch: LensSketch
  var sums: LensSums
  /// Source boundaries, ascending.
  let boundaries: [Int]

  /// The number of triplets kept when `rank` are wanted.
  func kept(_ rank: Int) -> Int { min(rank, sketch.basis.rows) }

  /// The part of a mean that is kept.
  func layer(_ mean: Matrix<Double>, rank: Int) throws -> LensLayer {
    try LensLayer(mean, in: sketch, rank: kept(rank))
  }

  /// The record of a boundary, by its place.
  func recorded(_ place: Int, _ layer: LensLayer, isDense: Bool) -> LensRecord.Layer {
    LensRecord.Layer(
      fromLayer: boundaries[place], rank: layer.singularValues.count,
      singularValues: layer.singularValues,
      errorEstimate: isDense ? 0 : layer.truncationError, frobeniusNorm: layer.frobeniusNorm,
      standardError: sums.standardError(place), noise: sums.noise(place))
  }
}

/// The cost of a fit, including the work before it was resumed.
struct LensCost: Codable {
  var applications = LayerRecord.Applications(jvp: 0, vjp: 0)
  var passes = 0
  var rangeSeconds = 0.0
  var fitSeconds = 0.0

  mutating func add(_ other: LensCost) {
    applications.jvp += other.applications.jvp
    applications.vjp += other.applications.vjp
    passes += other.passes
    rangeSeconds += other.rangeSeconds
    fitSeconds += other.fitSeconds
  }
}
