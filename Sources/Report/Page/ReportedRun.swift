import Alignment
import Analysis
import Checkpoint
import Foundation

/// A run as the report shows it.
struct ReportedRun {
  /// How its files begin: `run-1`.
  let stem: String
  /// The name shown: a user's text, to be escaped wherever it is used.
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
  /// Bytes that each of its figures may add to the page for what can be switched to.
  var liveBytes = LiveFigure.pageBytes

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
        s.setting.rank == rank, s.setting.form == asked.form.shown, s.setting.sign == asked.sign,
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
      let pictures = [(path.picture, tokens), (path.pictureWithoutFirst, tokens - 1)]
      let fits =
        path.norms.allSatisfy { $0.count == tokens }
        && pictures.allSatisfy { picture, tokens in
          guard let picture else { return true }
          return picture.points.count == tokens && picture.explainedVariance.count == 2
            && picture.points.allSatisfy {
              $0.count == path.norms.count && $0.allSatisfy { $0.count == 2 }
            }
        }
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

  /// The prompts that have results.
  var prompts: [PromptRecord] { record.prompts.filter { $0.failed == nil } }

  /// `4 prompts of NAME`.
  var scope: String { "\(counted(prompts.count, "prompt")) of \(label)" }

  /// The prompts' tables of the shown coupling.
  var tables: [[CouplingMatrix]] {
    record.prompts.map { $0.coupling.filter { $0.kind == kind && $0.setting == setting } }
  }

  /// A trajectory's number, by default the last token's, which is what `align` prints; nil where no prompt has it.
  func path(
    _ quantity: TrajectoryStatistic.Quantity, _ tokens: TrajectoryStatistic.Tokens = .last
  ) -> PromptMean? {
    record.statistics.trajectory(quantity, tokens)?.value
  }
}

/// `1 prompt`, `4 prompts`.
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
