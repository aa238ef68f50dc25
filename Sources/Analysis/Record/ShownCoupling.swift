public import Alignment

extension RunSettings {
  /// The setting in which the coupling at a rank is shown.
  func shown(rank: Int) -> CouplingSetting {
    CouplingSetting(
      rank: rank, sign: self.sign,
      normalisation: CouplingNormalisation(rawValue: self.normalisation) ?? .frobenius,
      form: self.form.shown, score: self.score)
  }
}

extension CouplingSetting {
  /// The setting, among those that every record holds, from which this one is computed.
  var held: CouplingSetting {
    CouplingSetting(
      rank: rank, sign: sign, normalisation: normalisation == .trace ? .trace : .frobenius,
      form: form)
  }
}

extension RecordFile {
  /// A prompt's record with the coupling to be shown, in any norm and score the settings ask for, and without overlaps.
  public func shown(prompt p: Int) throws -> PromptRecord {
    let settings = head.settings
    var record = try prompt(
      p, hasOverlaps: false,
      tablesWith: [
        "sign": settings.sign.rawValue, "form": settings.form.shown.rawValue,
        "normalisation": settings.shown(rank: 1).held.normalisation.rawValue,
        "score": CouplingScore.oneMinus.rawValue,
      ])
    record.coupling = record.shown(settings)
    return record
  }
}

extension PromptRecord {
  /// The coupling to be shown at each rank, with sign, normalisation, form and score as in the settings; computed from the
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

  /// The singular values of a row's Jacobian; empty if it is missing. The place gives what all rows share, and the row's name
  /// gives the rest.
  private func spectrum(of row: Int, in place: CouplingPlace) -> [Double] {
    layers.first {
      $0.layer == place.layer ?? row && $0.fromToken == place.fromToken ?? row
        && $0.toToken == place.toToken ?? row
    }?.singularValues ?? []
  }
}
