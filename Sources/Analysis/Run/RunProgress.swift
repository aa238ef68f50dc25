/// Receives the progress of a run, and may stop it.
public protocol RunProgress: AnyObject {
  /// Called after each block.
  func update(_ state: RunProgressState)
  /// Called now and then while the work waits for something to be read, and with nil when it continues.
  func report(_ reading: ReadingProgress?)
  /// Whether to stop at the next block.
  var isCancelled: Bool { get }
}

extension RunProgress {
  /// Does nothing.
  public func report(_ reading: ReadingProgress?) {}
}

/// The progress of a run.
public struct RunProgressState: Sendable {
  /// `solving` or `coupling`.
  public let phase: String
  /// The finished units of work, including those of an earlier run; a unit is a prompt at a block, in either phase.
  public let completed: Int
  /// The number of all units.
  public let total: Int
  /// The seconds that the rest will take, from the time per unit so far in each phase; nil until something was computed.
  public let secondsLeft: Double?
}

/// Counts a run's work and estimates the time for the rest.
struct ProgressCount {
  /// One of the two passes.
  enum Phase: String { case solving, coupling }

  private struct Tally {
    /// The finished units, and how many of them were computed now.
    var done = 0.0
    var computed = 0.0
    var seconds = 0.0
    var total: Double
    /// The cost of a unit relative to one of the other phase, used until it is measured.
    var weight: Double
  }

  /// The phase of the last units.
  private(set) var phase = Phase.solving
  private var tallies: [Phase: Tally]
  private var last = monotonicSeconds()

  /// `units` counts Jacobians at blocks; `vectors` is the number of vectors that a unit of each phase applies.
  init(solving: (units: Int, vectors: Int), coupling: (units: Int, vectors: Int)) {
    tallies = [
      .solving: Tally(total: Double(solving.units), weight: Double(solving.vectors)),
      .coupling: Tally(total: Double(coupling.units), weight: Double(coupling.vectors)),
    ]
  }

  /// Starts the clock.
  mutating func start() { last = monotonicSeconds() }

  /// Counts finished units, computed now or taken from an earlier run.
  mutating func add(_ units: Int, to phase: Phase, computed: Bool) -> RunProgressState {
    tallies[phase]!.done += Double(units)
    if computed { tallies[phase]!.computed += Double(units) }
    return state(in: phase)
  }

  /// Takes over the numbers of units that all teams have finished and computed; this one is in `phase`.
  mutating func set(
    _ counts: [Phase: (done: Int, computed: Int)], in phase: Phase
  ) -> RunProgressState {
    for (phase, count) in counts {
      tallies[phase]!.done = Double(count.done)
      tallies[phase]!.computed = Double(count.computed)
    }
    return state(in: phase)
  }

  private mutating func state(in phase: Phase) -> RunProgressState {
    self.phase = phase
    let now = monotonicSeconds()
    // Evaluating a block without computing anything takes time too, which counts for the phase.
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
