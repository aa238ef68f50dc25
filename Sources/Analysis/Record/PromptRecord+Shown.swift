public import Alignment

extension PromptRecord {
  /// The coupling that is to be shown, at each rank: sign, normalisation, form and score as in the settings. Made of the
  /// readings that every record holds.
  public func shown(_ settings: RunSettings) -> [CouplingMatrix] {
    settings.ranks.flatMap { rank in
      let wanted = settings.shown(rank: rank)
      let tables = coupling.filter { $0.setting == wanted }
      guard tables.isEmpty else { return tables }
      return coupling.filter { $0.setting == wanted.held }.map { table in
        table.read(
          wanted.normalisation, wanted.score,
          spectra: table.rows.map { spectrum(of: $0, in: table.place) })
      }
    }
  }

  /// The singular values of a row's Jacobian; none if it is not there. What the rows have in common the place says, and
  /// what it leaves open is their name.
  private func spectrum(of row: Int, in place: CouplingPlace) -> [Double] {
    layers.first {
      $0.layer == place.layer ?? row && $0.fromToken == place.fromToken ?? row
        && $0.toToken == place.toToken ?? row
    }?.singularValues ?? []
  }
}
