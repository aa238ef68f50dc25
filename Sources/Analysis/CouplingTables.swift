import Alignment
import LinearAlgebra
import Model

/// Arranges the couplings of one prompt's Jacobians in the tables of a kind.
struct CouplingTables {
  /// One table, before it is read in some way.
  private struct Table {
    let place: CouplingPlace
    let names: [Int]
    let couplings: [JacobianCouplings]
    let comparesSameJacobians: Bool
    /// The triplets of the rows and of the columns, for the overlap of subspaces.
    let rows: [SingularTriplets]
    let columns: [SingularTriplets]
  }

  private let kind: CouplingKind
  private let tables: [Table]

  /// `triplets` and `couplings` are those of the prompt's selections at every block.
  init(
    _ manifest: RunManifest, _ selections: [TokenSelection], triplets: [[SingularTriplets]],
    couplings: [[JacobianCouplings]]
  ) {
    let (layers, settings) = (manifest.layers, manifest.settings)
    kind = settings.kind
    if settings.kind == .depth {
      tables = selections.enumerated().map { s, tokens in
        Table(
          place: CouplingPlace(fromToken: tokens.source, toToken: tokens.target), names: layers,
          couplings: couplings.map { $0[s] }, comparesSameJacobians: true,
          rows: triplets.map { $0[s] }, columns: triplets.map { $0[s] })
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
        couplings: couplings[i], comparesSameJacobians: (basis ?? i) == i, rows: triplets[i],
        columns: triplets[basis ?? i])
    }
  }

  /// Every table, read in this way.
  func read(_ setting: CouplingSetting) -> [CouplingMatrix] {
    tables.map { table in
      CouplingMatrix(
        kind: kind, setting: setting, rows: table.names, columns: table.names,
        couplings: table.couplings.map { setting.form == .same ? $0.same : $0.crossed },
        nulls: zip(table.couplings, table.rows).map {
          NullLevel(frobeniusNorm: $0.frobeniusNorm, width: $1.rightVectors.columns)
        }, comparesSameJacobians: table.comparesSameJacobians, place: table.place)
    }
  }

  /// The overlap of the singular subspaces of every table's pairs.
  func overlaps(rank: Int) -> [OverlapRecord] {
    tables.map { table in
      let pairs = table.rows.map { a in table.columns.map { SubspaceOverlap(a, $0, rank: rank) } }
      return OverlapRecord(
        place: table.place, rank: rank,
        chance: SubspaceOverlap.chance(rank: rank, width: table.rows[0].rightVectors.columns),
        left: pairs.map { $0.map(\.left) }, right: pairs.map { $0.map(\.right) })
    }
  }

  /// A(i|j) of every table, (rows, columns, K, K), with the table's place.
  var blocks: [(place: CouplingPlace, side: Int, rank: Int, numbers: [Double])] {
    tables.map { table in
      (
        table.place, table.names.count, table.couplings[0].same[0].rank,
        table.couplings.flatMap { $0.same.flatMap(\.matrix.elements) }
      )
    }
  }
}
