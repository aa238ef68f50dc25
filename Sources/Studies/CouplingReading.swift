import Analysis
public import Alignment

/// A selection of a run's couplings.
///
/// The score is 1 − m, which every run records.
public struct CouplingReading: Sendable {
  /// What coupling compares; nil for every kind.
  public var kind: CouplingKind?
  /// The rank K; nil for every rank.
  public var rank: Int?
  /// The sign; nil for the one the run shows.
  public var sign: CouplingSign?
  /// The normalisation; nil for the one the run shows.
  public var normalisation: CouplingNormalisation?
  /// The form; nil for the one the run shows.
  public var form: CouplingForm?

  /// Creates a reading.
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

  /// The reading with a run's own settings in place of nil.
  func resolved(by settings: RunSettings) -> CouplingReading {
    CouplingReading(
      kind: kind, rank: rank, sign: sign ?? settings.sign,
      normalisation: normalisation ?? CouplingNormalisation(rawValue: settings.normalisation),
      form: form ?? settings.form.shown)
  }

  /// Whether the resolved reading selects a coupling of this kind and setting.
  func includes(_ kind: CouplingKind, _ setting: CouplingSetting) -> Bool {
    self.kind ?? kind == kind && rank ?? setting.rank == setting.rank && setting.sign == sign
      && setting.normalisation == normalisation && setting.form == form
      && setting.score == .oneMinus
  }

  /// The selected statistics of a run, by rank; empty if they were not recorded.
  func statistics(of run: RunRecord) -> [CouplingStatistic] {
    let reading = resolved(by: run.settings)
    return run.statistics.coupling.filter { reading.includes($0.kind, $0.setting) }
      .sorted { $0.setting.rank < $1.setting.rank }
  }
}

extension CouplingStatistic {
  /// The reading in words: `depth, rank 10, signed, frobenius, same, one-minus`.
  var reading: String {
    [
      kind.rawValue, "rank \(setting.rank)", setting.sign.rawValue,
      setting.normalisation.rawValue, setting.form.rawValue, setting.score.rawValue,
    ].joined(separator: ", ")
  }
}
