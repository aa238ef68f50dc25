import Analysis
import Alignment

/// Coupling and the shape of trajectories over training: the means over prompts for each checkpoint's run.
///
/// It follows the figures over training of Aubry et al., arXiv 2407.07810.
public struct Emergence: Sendable {
  /// One number of one checkpoint.
  public struct Point: Sendable {
    /// The training step.
    public let step: Int
    /// The quantity: `coupling`, or the name of a `TrajectoryStatistic.Quantity`.
    public let quantity: String
    /// The tokens whose paths are summarised; nil for coupling.
    public let tokens: TrajectoryStatistic.Tokens?
    /// The rank K, for coupling.
    public let rank: Int?
    /// The mean over prompts.
    public let value: PromptMean
    /// The null level of coupling, if it is known.
    public let null: Double?
  }

  /// The name of coupling among the quantities.
  public static let coupling = "coupling"

  /// The points by ascending step.
  public let points: [Point]
  /// The steps, ascending.
  public let steps: [Int]
  /// The number of different prompts in the means: those that have results at every step.
  public let prompts: Int
  /// A number for each prompt in the means, the same for equal prompts.
  private let alike: [Int]
  /// Notes that qualify the points.
  public let notes: [String]

  /// Collects the runs of one training run's checkpoints, each with its step. Coupling is read with the sign, normalisation and
  /// form of the runs' settings; a reading that the records do not hold (`normalisation` p=…, a `score` other than one-minus) is
  /// left out.
  public init(_ runs: [(step: Int, record: RunRecord)]) {
    let runs = runs.sorted { $0.step < $1.step }
    steps = runs.map(\.step)
    // A prompt that failed at one step is excluded from all, so that all means are over the same prompts.
    let failed = Set(
      runs.flatMap { run in
        run.record.prompts.indices.filter { run.record.prompts[$0].failed != nil }
      })
    let statistics = runs.map { _, record in
      let kept = record.prompts.indices.filter { !failed.contains($0) }
      return failed.isEmpty
        ? record.statistics
        : StudyStatistics(kept.map { record.prompts[$0] }, diagonal: record.settings.diagonal)
    }
    let all = runs.first?.record.prompts ?? []
    let kept = all.indices.filter { !failed.contains($0) }
    alike = kept.map { all[$0] }.firstAlike
    prompts = Set(alike).count
    notes = Self.notes(runs, failed: failed.sorted(), repeats: kept.count - prompts)
    points = zip(runs, statistics).flatMap { run, statistics in
      let (step, s) = (run.step, run.record.settings)
      let couplings = statistics.coupling.filter {
        $0.setting.sign == s.sign && $0.setting.normalisation.rawValue == s.normalisation
          && $0.setting.form == s.form.shown && $0.setting.score == s.score
      }
      return couplings.map {
        Point(
          step: step, quantity: Self.coupling, tokens: nil, rank: $0.setting.rank, value: $0.value,
          null: $0.null)
      }
        + statistics.trajectory.map {
          Point(
            step: step, quantity: $0.quantity.rawValue, tokens: $0.tokens, rank: nil,
            value: $0.value, null: nil)
        }
    }
  }

  private static func notes(
    _ runs: [(step: Int, record: RunRecord)], failed: [Int], repeats: Int
  ) -> [String] {
    var notes: [String] = []
    for p in failed {
      let steps = runs.filter { $0.record.prompts.indices.contains(p) }
        .filter { $0.record.prompts[p].failed != nil }.map { "\($0.step)" }
      let label = PromptLabel(number: p + 1, runs[0].record.prompts[p])
      notes.append("\(label) failed at step \(listed(steps)) and is left out at every step")
    }
    if repeats > 0 {
      notes.append("prompts given more than once count once: \(repeats) left out")
    }
    let weights = Dictionary(grouping: runs, by: \.record.model.fingerprint).values
    for same in weights.sorted(by: { $0[0].step < $1[0].step }) where same.count > 1 {
      notes.append("steps \(listed(same.map { "\($0.step)" })) have the same weights")
    }
    return notes
  }

  /// A quantity at each step, in order; for coupling at a rank, for a number of trajectories for some tokens.
  public func series(
    _ quantity: String, tokens: TrajectoryStatistic.Tokens? = nil, rank: Int? = nil
  ) -> [Point] {
    points.filter { $0.quantity == quantity && $0.tokens == tokens && $0.rank == rank }
  }

  /// How a quantity changes from one step to another, prompt by prompt; nil for fewer than two prompts.
  public func change(from first: Point, to last: Point) -> PairedDifference? {
    let pairs = zip(first.value.perPrompt, last.value.perPrompt).map { a, b in
      a.flatMap { a in b.map { (a, $0) } }
    }
    let known = PromptMean.observations(pairs, alike)
    return PairedDifference(from: known.map(\.0), to: known.map(\.1))
  }

  /// The position of a step on a logarithmic axis: the step itself, and for step 0 half of the next step.
  public func position(ofStep step: Int) -> Double {
    step > 0 ? Double(step) : Double(steps.first { $0 > 0 } ?? 1) / 2
  }

  /// `emergence.csv`: one row per number, empty where it is not defined. lower and upper bound the 95 % interval
  /// over prompts; position is for a logarithmic axis.
  public var csv: String {
    var text =
      "step,position,quantity,tokens,rank,mean,standard_error,lower,upper,null\n"
    for p in points {
      let numbers = [
        p.value.mean, p.value.standardError, p.value.interval?.lower, p.value.interval?.upper,
        p.null,
      ].map { number in number.map { "\($0)" } ?? "" }
      let head = [
        "\(p.step)", "\(position(ofStep: p.step))", p.quantity, p.tokens?.rawValue ?? "",
        p.rank.map { "\($0)" } ?? "",
      ]
      text += (head + numbers).joined(separator: ",") + "\n"
    }
    return text
  }
}
