import Analysis
public import Alignment

/// Which coupling of a run is meant. What is nil is left to the run.
///
/// The score is 1 − m: the one that every run records.
public struct CouplingReading: Sendable {
  /// What is compared; nil for every kind.
  public var kind: CouplingKind?
  /// K; nil for every rank.
  public var rank: Int?
  /// nil for the sign the run shows.
  public var sign: CouplingSign?
  /// nil for the norm the run shows.
  public var normalisation: CouplingNormalisation?
  /// nil for the form the run shows.
  public var form: CouplingForm?

  /// A reading.
  public init(
    kind: CouplingKind? = nil, rank: Int? = nil, sign: CouplingSign? = nil,
    normalisation: CouplingNormalisation? = nil, form: CouplingForm? = nil
  ) {
    self.kind = kind
    self.rank = rank
    self.sign = sign
    self.normalisation = normalisation
    self.form = form
  }

  /// The reading in which a run's own choice stands for what was left to it.
  func resolved(by settings: RunSettings) -> CouplingReading {
    CouplingReading(
      kind: kind, rank: rank, sign: sign ?? settings.sign,
      normalisation: normalisation ?? CouplingNormalisation(rawValue: settings.normalisation),
      form: form ?? settings.form.shown)
  }

  /// Whether a coupling of this kind and setting is one of those meant, once the reading is resolved.
  func includes(_ kind: CouplingKind, _ setting: CouplingSetting) -> Bool {
    self.kind ?? kind == kind && rank ?? setting.rank == setting.rank && setting.sign == sign
      && setting.normalisation == normalisation && setting.form == form
      && setting.score == .oneMinus
  }

  /// What the run has of it, by rank; none when it was not recorded.
  func statistics(of run: RunRecord) -> [CouplingStatistic] {
    let reading = resolved(by: run.settings)
    return run.statistics.coupling.filter { reading.includes($0.kind, $0.setting) }
      .sorted { $0.setting.rank < $1.setting.rank }
  }
}

extension CouplingStatistic {
  /// `depth, rank 10, signed, frobenius, same, one-minus`
  var reading: String {
    [
      kind.rawValue, "rank \(setting.rank)", setting.sign.rawValue,
      setting.normalisation.rawValue, setting.form.rawValue, setting.score.rawValue,
    ].joined(separator: ", ")
  }
}
