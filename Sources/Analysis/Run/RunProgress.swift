/// Hears how far a run is, and may stop it.
public protocol RunProgress: AnyObject {
  /// Another block is done.
  func update(_ state: RunProgressState)
  /// Whether to stop at the next block.
  var isCancelled: Bool { get }
}

/// How far a run is.
public struct RunProgressState: Sendable {
  /// `solving` or `coupling`.
  public let phase: String
  /// Units of work that are done, taken from an earlier run among them: a prompt at a block, in either phase.
  public let completed: Int
  /// Units in all.
  public let total: Int
  /// Seconds that the rest will take, from the time each phase's units took so far; nil as long as nothing was computed.
  public let secondsLeft: Double?
}

/// Counts a run's work, and says what the rest of it will take.
struct ProgressCount {
  /// One of the two passes.
  enum Phase: String { case solving, coupling }

  private struct Tally {
    /// Units that are done, and of them those that were computed now.
    var done = 0.0
    var computed = 0.0
    var seconds = 0.0
    var total: Double
    /// What a unit costs beside one of the other phase, as long as none was measured.
    var weight: Double
  }

  private var tallies: [Phase: Tally]
  private var last = monotonicSeconds()

  /// `units` are Jacobians at blocks; vectors are what a unit of each phase asks of the weights.
  init(solving: (units: Int, vectors: Int), coupling: (units: Int, vectors: Int)) {
    tallies = [
      .solving: Tally(total: Double(solving.units), weight: Double(solving.vectors)),
      .coupling: Tally(total: Double(coupling.units), weight: Double(coupling.vectors)),
    ]
  }

  /// The clock starts here.
  mutating func start() { last = monotonicSeconds() }

  /// Some units are done, computed now or taken from an earlier run.
  mutating func add(_ units: Int, to phase: Phase, computed: Bool) -> RunProgressState {
    let now = monotonicSeconds()
    tallies[phase]!.done += Double(units)
    if computed { tallies[phase]!.computed += Double(units) }
    // Passing a block without computing anything costs too; it is on the phase's account.
    tallies[phase]!.seconds += now - last
    last = now
    return RunProgressState(
      phase: phase.rawValue, completed: Int(tallies.values.reduce(0) { $0 + $1.done }),
      total: Int(tallies.values.reduce(0) { $0 + $1.total }), secondsLeft: secondsLeft)
  }

  private var secondsLeft: Double? {
    let measured = tallies.values.filter { $0.computed > 0 }
    guard let known = measured.first else { return nil }
    return tallies.values.reduce(0) { sum, tally in
      let each =
        tally.computed > 0
        ? tally.seconds / tally.computed
        : known.seconds / known.computed * tally.weight / known.weight
      return sum + (tally.total - tally.done) * each
    }
  }
}
