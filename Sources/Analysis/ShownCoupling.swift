import Alignment

extension RunSettings {
  /// How the coupling at a rank is shown.
  func shown(rank: Int) -> CouplingSetting {
    CouplingSetting(
      rank: rank, sign: sign,
      normalisation: CouplingNormalisation(rawValue: normalisation) ?? .frobenius, form: form,
      score: score)
  }
}

extension RecordFile {
  /// A prompt's record with the coupling as it is to be shown, whatever norm and score the settings ask for, and no overlaps.
  public func shown(prompt p: Int) throws -> PromptRecord {
    let settings = head.settings
    var record = try prompt(
      p, hasOverlaps: false,
      tablesWith: [
        "sign": settings.sign.rawValue, "form": settings.form.rawValue,
        "normalisation": CouplingNormalisation.frobenius.rawValue,
        "score": CouplingScore.oneMinus.rawValue,
      ])
    record.coupling = record.coupling.map { table in
      let values = table.rows.map { record.singularValues(ofRow: $0, in: table) }
      return table.read(as: settings.shown(rank: table.setting.rank), singularValues: values)
    }
    return record
  }
}

extension RecordFile {
  /// The record with its prompts as `shown` has them: an eighth of the tables, which memory must hold.
  public func shownRecord() throws -> RunRecord {
    var record = head
    record.prompts = try (0..<count).map { try shown(prompt: $0) }
    return record
  }
}

extension PromptRecord {
  /// Those of the Jacobian that a row of a table is of; none if it is not recorded.
  fileprivate func singularValues(ofRow name: Int, in table: CouplingMatrix) -> [Double] {
    let at = table.place
    let layer = table.kind == .depth ? name : at.layer
    let from = table.kind == .depth || table.kind == .contextInput ? at.fromToken : name
    let to = table.kind == .depth || table.kind == .contextOutput ? at.toToken : name
    return layers.first { $0.layer == layer && $0.fromToken == from && $0.toToken == to }?
      .singularValues ?? []
  }
}

extension CouplingMatrix {
  /// The same table in another norm and by another score: the misfits' numerators are what all of them share.
  ///
  /// Precondition: this one holds 1 − m of the Frobenius norm.
  fileprivate func read(
    as setting: CouplingSetting, singularValues: [[Double]]
  ) -> CouplingMatrix {
    guard setting != self.setting else { return self }
    let ratios = singularValues.map { values -> Double? in
      let s = values.prefix(setting.rank)
      let norm = setting.normalisation.norm(s)
      return norm > 0 ? CouplingNormalisation.frobenius.norm(s) / norm : nil
    }
    let converted = { (score: Double?, ratio: Double?) -> Double? in
      score.flatMap { score in ratio.map { setting.score((1 - score) * $0) } }
    }
    return CouplingMatrix(
      kind: kind, setting: setting, rows: rows, columns: columns,
      matrix: zip(matrix, ratios).map { row, ratio in row.map { converted($0, ratio) } },
      null: null.map { zip($0, ratios).map(converted) },
      comparesSameJacobians: diagonalIsTrivial, place: place)
  }
}
