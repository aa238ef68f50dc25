import Alignment
import LinearAlgebra
import Model

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

  private func scores(of table: Table, _ settings: [CouplingSetting]) throws -> [CouplingMatrix] {
    var matrices = settings.map { _ in [[Double?]]() }
    var nulls = settings.map { _ in [Double?]() }
    var (bounds, invariants, invariantBounds) = (matrices, matrices, matrices)
    let known = try TableBounds(
      table.columns.map { try found($0) }, rank: rank, width: width)
    for place in table.rows {
      let own = try self.found(place)
      var rows: [CouplingForm: TableBounds.Row] = [:]
      let found = try blocks[place.block].couplings(place.jacobian)
      let level = NullLevel(frobeniusNorm: found.frobeniusNorm, width: width)
      for (s, setting) in settings.enumerated() {
        let row = found.forms[setting.form] ?? []
        var entries = rows[setting.form] ?? known.row(own, setting.form, row)
        bounds[s].append(entries.scoreBounds(setting))
        if known.hasClusters(rank: setting.rank), setting.sign == .signed {
          invariants[s].append(entries.invariants(setting))
          invariantBounds[s].append(entries.scoreBounds(setting, isInvariant: true))
        }
        rows[setting.form] = entries
        matrices[s].append(
          row.map {
            $0.score(
              setting.score, rank: setting.rank, sign: setting.sign,
              normalisation: setting.normalisation)
          })
        nulls[s].append(
          row.first.flatMap {
            level.score(
              setting.score, singularValues: $0.singularValues[..<setting.rank],
              sign: setting.sign, normalisation: setting.normalisation)
          })
      }
    }
    return settings.indices.map { s in
      CouplingMatrix(
        kind: kind, setting: settings[s], rows: table.names, columns: table.names,
        matrix: matrices[s], null: nulls[s], comparesSameJacobians: table.comparesSameJacobians,
        place: table.place
      ).with(
        bound: bounds[s], invariant: invariants[s].isEmpty ? nil : invariants[s],
        invariantBound: invariants[s].isEmpty ? nil : invariantBounds[s])
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
    let columns = try table.columns.map { try found($0, margin: MeasuredNoise.margin) }
    let leanings = columns.map { $0.triplets.bounds(noise: $0.noise ?? .none) }
    var overlaps = ranks.map { _ in
      (left: [[Double]](), right: [[Double]](), bounds: [[Double]]())
    }
    for place in table.rows {
      let own = try found(place, margin: MeasuredNoise.margin)
      let leaning = own.triplets.bounds(noise: own.noise ?? .none)
      for (k, rank) in ranks.enumerated() {
        let row = columns.map { SubspaceOverlap(own.triplets, $0.triplets, rank: rank) }
        overlaps[k].bounds.append(
          leanings.map {
            SubspaceOverlap.bound(leaning.subspace(rank), $0.subspace(rank), rank: rank)
          })
        overlaps[k].left.append(row.map(\.left))
        overlaps[k].right.append(row.map(\.right))
      }
    }
    return zip(ranks, overlaps).map { rank, overlap in
      OverlapRecord(
        place: table.place, rank: rank, chance: SubspaceOverlap.chance(rank: rank, width: width),
        left: overlap.left, right: overlap.right, bound: overlap.bounds)
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
