import Alignment
import Analysis
import Checkpoint
import Foundation

/// A run as the report shows it.
struct ReportedRun {
  /// How its files begin: `run-1`.
  let stem: String
  /// What it is called: somebody's text, to be escaped wherever it goes.
  let label: String
  /// What was found.
  let record: RunRecord
  /// The run folder.
  let path: String
  /// The kind and the reading of coupling that are shown.
  let kind: CouplingKind
  let setting: CouplingSetting
  /// The coupling that is shown, over prompts.
  let coupling: CouplingStatistic?

  /// Takes the reading the run's settings ask for, at its largest rank; where the record has another score or norm, that.
  ///
  /// Throws `RunError.badRun` when the record's numbers do not fit each other.
  init(_ run: StoredRun, label: String, number: Int) throws(RunError) {
    (self.label, record, path, stem) = (label, run.record, run.path, "run-\(number)")
    try Self.check(run)
    let (asked, statistics) = (run.record.settings, run.record.statistics.coupling)
    let rank = statistics.map(\.setting.rank).max() ?? 0
    let norm = CouplingNormalisation(rawValue: asked.normalisation) ?? .frobenius
    let likeness = { (s: CouplingStatistic) in
      [
        s.setting.rank == rank, s.setting.form == asked.form, s.setting.sign == asked.sign,
        s.setting.normalisation == norm, s.setting.normalisation == .frobenius,
        s.setting.score == asked.score,
      ].reduce(0) { 2 * $0 + ($1 ? 1 : 0) }
    }
    coupling = statistics.max { likeness($0) < likeness($1) }
    kind = coupling?.kind ?? .depth
    setting = coupling?.setting ?? CouplingSetting(rank: max(rank, 1))
  }

  /// Lists that are read together must be of one length: a file says so, which is no proof.
  private static func check(_ run: StoredRun) throws(RunError) {
    for (p, prompt) in run.record.prompts.enumerated() {
      let path = prompt.trajectory
      let tokens = path.norms.first?.count ?? 0
      let fits =
        path.norms.allSatisfy { $0.count == tokens }
        && (path.picture?.points ?? []).allSatisfy {
          $0.count == path.norms.count && $0.allSatisfy { $0.count == 2 }
        }
        && (path.picture.map { $0.points.count == tokens && $0.explainedVariance.count == 2 }
          ?? true)
      guard fits else {
        throw .badRun(
          path: run.path, reason: "result.json: the paths of prompt \(p + 1) are of unequal lengths"
        )
      }
    }
  }

  /// K, sign, norm, form, score, last block.
  var reading: String {
    let misfit =
      "m = ‖\(setting.sign == .absolute ? "|A|" : "A") − S‖_F / "
      + (setting.normalisation == .frobenius
        ? "‖S‖_F"
        : setting.normalisation == .trace ? "tr S" : "‖S‖ (\(setting.normalisation.rawValue))")
    let score =
      switch setting.score {
      case .misfit: "m"
      case .oneMinus: "1 − m"
      case .oneMinusSquare: "1 − m²"
      }
    return "Score \(score), \(misfit), K = \(setting.rank); \(setting.sign.rawValue), "
      + "\(setting.normalisation == .frobenius ? "Frobenius" : setting.normalisation.rawValue) normalisation, form \(setting.form.rawValue), "
      + "last block \(record.settings.last.rawValue), site \(record.settings.site.rawValue)."
  }

  /// What the axes of coupling are called.
  var scoreName: String {
    switch setting.score {
    case .misfit: "misfit m"
    case .oneMinus: "coupling 1 − m"
    case .oneMinusSquare: "coupling 1 − m²"
    }
  }

  /// `over 4 prompts of NAME`.
  var scope: String {
    let count = record.prompts.count
    return "\(count) prompt\(count == 1 ? "" : "s") of \(label)"
  }

  /// The prompts' tables of the shown coupling.
  var tables: [[CouplingMatrix]] {
    record.prompts.map { $0.coupling.filter { $0.kind == kind && $0.setting == setting } }
  }

  /// A trajectory's number; of the tokens after the first, or of prompts of a single token that one's.
  func path(_ quantity: TrajectoryStatistic.Quantity) -> PromptMean? {
    let of = { record.statistics.trajectory(quantity, $0)?.value }
    return [of(.others), of(.last)].compactMap { $0 }.first { $0.count > 0 }
  }
}
