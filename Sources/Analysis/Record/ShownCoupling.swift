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

extension CouplingSetting {
  /// The setting among those that every record holds from which this one is read.
  var held: CouplingSetting {
    CouplingSetting(
      rank: rank, sign: sign, normalisation: normalisation == .trace ? .trace : .frobenius,
      form: form)
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
        "normalisation": settings.shown(rank: 1).held.normalisation.rawValue,
        "score": CouplingScore.oneMinus.rawValue,
      ])
    record.coupling = record.shown(settings)
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
