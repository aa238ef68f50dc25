import Alignment
import LinearAlgebra
import Model
import Weights

/// Arranges the couplings of one prompt's Jacobians in the tables of one kind, one table at a time.
struct CouplingTables {
  /// A Jacobian: a block, as a position among the run's, and a position among the group's Jacobians at each block.
  fileprivate typealias Place = (block: Int, jacobian: Int)

  /// One table, before a reading is chosen.
  struct Table {
    let place: CouplingPlace
    let names: [Int]
    let comparesSameJacobians: Bool
    fileprivate let rows: [Place]
    fileprivate let columns: [Place]

    /// The number of rows, and of columns.
    var side: Int { names.count }
  }

  /// The prompt's tables.
  let tables: [Table]
  private let kind: CouplingKind
  private let width: Int
  /// The largest rank.
  private let rank: Int
  private let blocks: [KeptBlock]

  /// The tables of the prompt whose selections are the group's `jacobians` at every block.
  init(
    _ manifest: RunManifest, _ selections: [TokenSelection], jacobians: Range<Int>,
    blocks: [KeptBlock]
  ) {
    let (layers, settings) = (manifest.layers, manifest.settings)
    (kind, width, self.blocks) = (settings.kind, manifest.model.width, blocks)
    rank = settings.ranks.max() ?? 1
    if settings.kind == .depth {
      tables = zip(selections, jacobians).map { tokens, jacobian in
        let places = layers.indices.map { ($0, jacobian) }
        return Table(
          place: CouplingPlace(fromToken: tokens.source, toToken: tokens.target), names: layers,
          comparesSameJacobians: true, rows: places, columns: places)
      }
      return
    }
    let basis = settings.basisLayer.flatMap { layers.firstIndex(of: $0) }
    tables = layers.enumerated().map { i, layer in
      var place = CouplingPlace(layer: layer, basisLayer: layers[basis ?? i])
      if settings.kind == .contextInput { place.fromToken = selections[0].source }
      if settings.kind == .contextOutput { place.toToken = selections[0].target }
      return Table(
        place: place,
        names: selections.map { settings.kind == .contextOutput ? $0.source : $0.target },
        comparesSameJacobians: (basis ?? i) == i, rows: jacobians.map { (i, $0) },
        columns: jacobians.map { (basis ?? i, $0) })
    }
  }

  /// The most bytes of tables that are computed together, and those of an entry: its score and invariant, with their bounds.
  private static let most = 1 << 26
  private static let entryBytes = 4 * MemoryLayout<Double?>.stride

  /// The number of readings of a table with this many rows that are computed together: what they share is computed once for all of
  /// them.
  static func readings(atSide side: Int) -> Int { max(1, most / (entryBytes * side * side)) }

  /// Passes a table in each of these readings. Throws `RunError.lostUnit` if its couplings are gone.
  func forEachScore(
    of table: Table, _ readings: [CouplingSetting], _ body: (CouplingMatrix) throws -> Void
  ) throws {
    let count = Self.readings(atSide: table.side)
    for first in stride(from: 0, to: readings.count, by: count) {
      let part = Array(readings[first..<min(first + count, readings.count)])
      try scores(of: table, part).forEach(body)
    }
  }

  /// A row of a table in one reading: the scores, the null level, and the bounds and invariants.
  private struct Row {
    var scores: [Double?]
    var null: Double?
    var bounds: [Double?]
    var invariants: [Double?]?
    var invariantBounds: [Double?]?
  }

  private func scores(of table: Table, _ settings: [CouplingSetting]) throws -> [CouplingMatrix] {
    let known = try TableBounds(
      table.columns.map { try found($0) }, rank: rank, width: width)
    // As many rows at a time as there are threads: each row's couplings are read for it.
    var rows: [[Row]] = []
    let count = Engine.currentThreads
    for first in stride(from: 0, to: table.rows.count, by: count) {
      let part = try table.rows[first..<min(first + count, table.rows.count)].map {
        (own: try found($0), couplings: try blocks[$0.block].couplings($0.jacobian))
      }
      rows += Engine.map(part) { scores(of: $0.own, $0.couplings, settings, known) }
    }
    return settings.indices.map { s in
      let rows = rows.map { $0[s] }
      let hasInvariants = rows.first?.invariants != nil
      return CouplingMatrix(
        kind: kind, setting: settings[s], rows: table.names, columns: table.names,
        matrix: rows.map(\.scores), null: rows.map(\.null),
        comparesSameJacobians: table.comparesSameJacobians,
        place: table.place
      ).with(
        bound: rows.map(\.bounds), invariant: hasInvariants ? rows.map { $0.invariants! } : nil,
        invariantBound: hasInvariants ? rows.map { $0.invariantBounds! } : nil)
    }
  }

  /// A row in each reading.
  private func scores(
    of own: TableBounds.Found, _ found: JacobianCouplings, _ settings: [CouplingSetting],
    _ known: TableBounds
  ) -> [Row] {
    let level = NullLevel(frobeniusNorm: found.frobeniusNorm, width: width)
    var forms: [CouplingForm: TableBounds.Row] = [:]
    return settings.map { setting in
      let couplings = found.forms[setting.form] ?? []
      var entries = forms[setting.form] ?? known.row(own, setting.form, couplings)
      defer { forms[setting.form] = entries }
      let hasInvariants = known.hasClusters(rank: setting.rank) && setting.sign == .signed
      return Row(
        scores: couplings.map {
          $0.score(
            setting.score, rank: setting.rank, sign: setting.sign,
            normalisation: setting.normalisation)
        },
        null: couplings.first.flatMap {
          level.score(
            setting.score, singularValues: $0.singularValues[..<setting.rank],
            sign: setting.sign, normalisation: setting.normalisation)
        },
        bounds: entries.scoreBounds(setting),
        invariants: hasInvariants ? entries.invariants(setting) : nil,
        invariantBounds: hasInvariants ? entries.scoreBounds(setting, isInvariant: true) : nil)
    }
  }

  /// The triplets and noise of a place. Bounds of couplings account for deviations of the sample's noise and need no margin for
  /// other prompts.
  private func found(_ place: Place, margin: Double = 1) throws -> TableBounds.Found {
    let block = blocks[place.block]
    return (
      try block.triplets(place.jacobian), block.noise(of: place.jacobian, margin: margin)
    )
  }

  /// The overlap of the singular subspaces of a table's pairs, at each rank.
  func overlaps(of table: Table, ranks: [Int]) throws -> [OverlapRecord] {
    let columns = try table.columns.map { try leaning($0) }
    // Overlaps are symmetric: if rows and columns are the same Jacobians, the entries below the diagonal are those above it.
    let isSymmetric = zip(table.rows, table.columns).allSatisfy { $0 == $1 }
    var rows: [[[Overlap]]] = []
    let count = isSymmetric ? max(1, table.rows.count) : Engine.currentThreads
    for first in stride(from: 0, to: table.rows.count, by: count) {
      let part = try (first..<min(first + count, table.rows.count)).map { i in
        (first: isSymmetric ? i : 0, own: isSymmetric ? columns[i] : try leaning(table.rows[i]))
      }
      rows += Engine.map(part) { first, own in
        ranks.map { rank in columns[first...].map { Overlap(own, $0, rank: rank) } }
      }
    }
    return ranks.enumerated().map { k, rank in
      let entry = { (i: Int, j: Int) in
        isSymmetric ? rows[min(i, j)][k][abs(i - j)] : rows[i][k][j]
      }
      let numbers = { (number: (Overlap) -> Double) in
        rows.indices.map { i in columns.indices.map { number(entry(i, $0)) } }
      }
      return OverlapRecord(
        place: table.place, rank: rank, chance: SubspaceOverlap.chance(rank: rank, width: width),
        left: numbers(\.subspaces.left), right: numbers(\.subspaces.right), bound: numbers(\.bound))
    }
  }

  /// A Jacobian's triplets, and bounds on the errors of their subspaces.
  private typealias Leaning = (triplets: SingularTriplets, bounds: TripletBounds)

  private func leaning(_ place: Place) throws -> Leaning {
    let (triplets, noise) = try found(place, margin: MeasuredNoise.margin)
    return (triplets, triplets.bounds(noise: noise ?? .none))
  }

  /// The overlap of two Jacobians' subspaces, and the bound on its error.
  private struct Overlap {
    let subspaces: SubspaceOverlap
    let bound: Double

    init(_ a: Leaning, _ b: Leaning, rank: Int) {
      subspaces = SubspaceOverlap(a.triplets, b.triplets, rank: rank)
      bound = SubspaceOverlap.bound(
        a.bounds.subspace(rank), b.bounds.subspace(rank), rank: rank)
    }
  }

  /// Passes A(i|j) of a table, or B(i|j) in a run of the crossed form alone, row by row, each (columns, K, K).
  func forEachRow(of table: Table, _ body: ([Double]) throws -> Void) throws {
    for place in table.rows {
      let found = try blocks[place.block].couplings(place.jacobian)
      try body(found.any.flatMap(\.matrix.elements))
    }
  }
}
