import Processes

/// The steps of a run: counts what all teams have done, reports it, and ends the run if the user asks to stop.
final class RunSteps {
  private var count: ProgressCount
  private let sharing: any WorkSharing
  private let team: (any Communicator)?
  private let progress: (any RunProgress)?
  private let resumable: () -> String?

  /// `resumable` is the folder to resume from, if there is something in it.
  init(
    _ count: ProgressCount, _ sharing: any WorkSharing, _ team: (any Communicator)?,
    _ progress: (any RunProgress)?, resumable: @escaping () -> String?
  ) {
    (self.count, self.sharing, self.team, self.progress) = (count, sharing, team, progress)
    self.resumable = resumable
  }

  /// Counts finished units, computed now or taken from an earlier run. Throws `RunError.interrupted` and `WorkStopped`.
  func add(_ units: Int, to phase: ProgressCount.Phase, computed: Bool) throws {
    if sharing.isShared {
      try share(units, phase, computed)
    } else {
      progress?.update(count.add(units, to: phase, computed: computed))
    }
    try check()
  }

  /// Reports what the others do while this team waits for them. Throws like `add`.
  func pause() throws {
    try share(0, count.phase, false)
    try check()
  }

  /// Reports what this process reads while its work waits for that. Throws `RunError.interrupted`.
  func report(_ reading: ReadingProgress?) throws {
    progress?.report(reading)
    if progress?.isCancelled == true { throw RunError.interrupted(resume: resumable()) }
  }

  private func share(_ units: Int, _ phase: ProgressCount.Phase, _ computed: Bool) throws {
    let done = [units, computed ? units : 0]
    let totals = try sharing.count(phase == .solving ? done + [0, 0] : [0, 0] + done)
    progress?.update(
      count.set([.solving: (totals[0], totals[1]), .coupling: (totals[2], totals[3])], in: phase))
  }

  private func check() throws {
    let isCancelled = progress?.isCancelled == true
    // All members of a team stop at the same step.
    if team?.isAny(isCancelled) ?? isCancelled { throw RunError.interrupted(resume: resumable()) }
  }
}
