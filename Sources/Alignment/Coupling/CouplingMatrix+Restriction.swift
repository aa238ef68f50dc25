extension CouplingMatrix {
  /// The table restricted to the Jacobians i and bases j whose names are accepted.
  public func restricted(
    rows isRow: (Int) -> Bool, columns isColumn: (Int) -> Bool
  ) -> CouplingMatrix {
    CouplingMatrix(
      self, rows: rows.indices.filter { isRow(rows[$0]) },
      columns: columns.indices.filter { isColumn(columns[$0]) })
  }

  private init(_ table: CouplingMatrix, rows: [Int], columns: [Int]) {
    (kind, place, setting) = (table.kind, table.place, table.setting)
    diagonalIsTrivial = table.diagonalIsTrivial
    self.rows = rows.map { table.rows[$0] }
    self.columns = columns.map { table.columns[$0] }
    let part = { (entries: [[Double?]]) in rows.map { i in columns.map { entries[i][$0] } } }
    matrix = part(table.matrix)
    bound = table.bound.map(part)
    invariant = table.invariant.map(part)
    invariantBound = table.invariantBound.map(part)
    null = table.null.map { null in rows.map { null[$0] } }
  }
}
