import Alignment
import LinearAlgebra

/// What a fit has measured, and what that cost, as arrays and notes: kept while it goes on, and of a shard for a merge.
struct LensSumsFile {
  let fit: LensFit
  let cost: LensCost

  init(_ fit: LensFit, _ cost: LensCost) { (self.fit, self.cost) = (fit, cost) }

  /// What stands beside the arrays.
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

  /// `basis`, `probes`, and the two halves of every boundary's sum.
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

  /// Reads the same; nil where it is something else.
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

/// What a fit has measured: sums in some directions, and which they are.
struct LensFit {
  let sketch: LensSketch
  var sums: LensSums
  /// Source boundaries, ascending.
  let boundaries: [Int]

  /// How many triplets are kept of as many as are wanted.
  func kept(_ rank: Int) -> Int { min(rank, sketch.basis.rows) }

  /// What is kept of a mean.
  func layer(_ mean: Matrix<Double>, rank: Int) throws -> LensLayer {
    try LensLayer(mean, in: sketch, rank: kept(rank))
  }

  /// What a record says of a boundary, by its place.
  func recorded(_ place: Int, _ layer: LensLayer, isDense: Bool) -> LensRecord.Layer {
    LensRecord.Layer(
      fromLayer: boundaries[place], rank: layer.singularValues.count,
      singularValues: layer.singularValues,
      errorEstimate: isDense ? 0 : layer.truncationError, frobeniusNorm: layer.frobeniusNorm,
      standardError: sums.standardError(place), noise: sums.noise(place))
  }
}

/// What a fit cost, what was taken up again included.
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
