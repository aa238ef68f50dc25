import Alignment

/// The entrywise mean of coupling tables that have the same rows and columns.
struct MeanTable {
  let rows: [Int]
  let columns: [Int]
  let diagonalIsTrivial: Bool
  /// The mean of each entry over the tables that have it.
  let values: [[Double?]]
  /// The error bound of each mean, which is the mean of the tables' bounds; nil if one of them is unknown.
  let bounds: [[Double?]]
  /// The mean null level of each row.
  let null: [Double?]
  /// The mean of each row's nontrivial entries, over tables.
  let rowMeans: [MeanEstimate?]
  /// The number of tables in the mean.
  let count: Int

  /// The mean of the tables that have the rows and columns of the first; nil if there are none.
  init?(_ tables: [CouplingMatrix]) {
    guard let first = tables.first else { return nil }
    let like = tables.filter { $0.rows == first.rows && $0.columns == first.columns }
    (rows, columns, count) = (first.rows, first.columns, like.count)
    diagonalIsTrivial = first.diagonalIsTrivial
    let (rows, columns, isTrivial) = (rows, columns, first.diagonalIsTrivial)
    values = rows.indices.map { i in
      columns.indices.map { j in MeanEstimate(like.compactMap { $0.matrix[i][j] })?.mean }
    }
    let areBounded = like.allSatisfy { $0.bound != nil }
    bounds = rows.indices.map { i in
      columns.indices.map { j in
        let found = like.filter { $0.matrix[i][j] != nil }
        let known = found.compactMap { $0.bound?[i][j] }
        return areBounded && known.count == found.count ? MeanEstimate(known)?.mean : nil
      }
    }
    null = rows.indices.map { i in MeanEstimate(like.compactMap { $0.null?[i] ?? nil })?.mean }
    rowMeans = rows.indices.map { i in
      MeanEstimate(
        like.compactMap { table in
          let entries = columns.indices.filter { !(isTrivial && rows[i] == columns[$0]) }
          return MeanEstimate(entries.compactMap { table.matrix[i][$0] })?.mean
        })
    }
  }

  /// Whether the value of the entry is fixed by definition.
  func isTrivial(_ i: Int, _ j: Int) -> Bool { diagonalIsTrivial && rows[i] == columns[j] }

  /// The nontrivial entries, and the null levels; empty if there are no such entries.
  var telling: [Double] {
    let entries = rows.indices.flatMap { i in
      columns.indices.compactMap { isTrivial(i, $0) ? nil : values[i][$0] }
    }
    return entries.isEmpty ? [] : entries + null.compactMap { $0 }
  }

  /// A table of column, row and value; the values of trivial entries are missing.
  func entries(_ suffix: String = "", named names: (String, String)) -> DataTable {
    var table = DataTable(suffix, columns: ["column", "row", names.0, names.1, "coupling"])
    for i in rows.indices {
      for j in columns.indices {
        table.append([
          .integer(j), .integer(i), .integer(columns[j]), .integer(rows[i]),
          .number(isTrivial(i, j) ? nil : values[i][j]),
        ])
      }
    }
    return table
  }
}
