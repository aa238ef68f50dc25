import Alignment
import Analysis
import Checkpoint
import Foundation

/// The data of a run that a report shows.
struct ReportedRun {
  /// The prefix of its file names: `run-1`.
  let stem: String
  /// The displayed name: a user's text, which must be escaped wherever it is used.
  let label: String
  /// The run's record.
  let record: RunRecord
  /// The run folder.
  let path: String
  /// The kind of coupling and the reading settings that are shown.
  let kind: CouplingKind
  let setting: CouplingSetting
  /// The statistic over prompts of the coupling that is shown.
  let coupling: CouplingStatistic?
  /// The number of bytes that each of its figures may add to the page for alternative views.
  var liveBytes = LiveFigure.pageBytes

  /// Chooses the recorded reading of coupling that is closest to the run's settings, at the largest rank.
  ///
  /// Throws `RunError.badRun` if arrays in the record have inconsistent lengths.
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

  /// Checks that arrays that are indexed together have the same length, which a file does not guarantee.
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
          path: run.path, reason: "result.json: the paths of prompt \(p + 1) have different lengths"
        )
      }
    }
  }

  /// A sentence with the score, the misfit, K, sign, normalisation, form, last block and site.
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

  /// The label of coupling axes.
  var scoreName: String {
    switch setting.score {
    case .misfit: "misfit m"
    case .oneMinus: "coupling 1 − m"
    case .oneMinusSquare: "coupling 1 − m²"
    }
  }

  /// The prompts that did not fail.
  var prompts: [PromptRecord] { record.prompts.filter { $0.failed == nil } }

  /// `4 prompts of NAME`.
  var scope: String { "\(counted(prompts.count, "prompt")) of \(label)" }

  /// The tables of the coupling that is shown, for each prompt.
  var tables: [[CouplingMatrix]] {
    record.prompts.map { $0.coupling.filter { $0.kind == kind && $0.setting == setting } }
  }

  /// The mean of a trajectory quantity, by default of the last token, as `align` prints it; nil if no prompt has it.
  func path(
    _ quantity: TrajectoryStatistic.Quantity, _ tokens: TrajectoryStatistic.Tokens = .last
  ) -> PromptMean? {
    record.statistics.trajectory(quantity, tokens)?.value
  }
}

/// `1 prompt`, `4 prompts`.
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
