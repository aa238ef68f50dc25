import Files
import Model

/// Reads a model's blocks in the order in which a pass uses them: while one is in use, the next is read in the background.
///
/// No more is read ahead than fits into memory beside the block in use and what the process has allocated. If not even a
/// block fits, nothing is read ahead, and the system reads pages when they are touched.
final class BlockReader {
  private let model: any Transformer
  private let limit: Int
  /// Whether the process's own memory is always counted.
  private let isExact: Bool
  /// Called while a block is waited for, and with nil after it; may throw.
  private let report: (ReadingProgress?) throws -> Void
  let reader = BackgroundReader()
  /// The seconds in which the work waited for weights.
  private(set) var secondsWaited = 0.0

  /// `memory` is what all memory of the process may take, by default what the system gives it, and `within` a smaller limit that
  /// the user has set.
  init(
    _ model: some Transformer, memory: Int = MemoryLimit.bytes, within most: Int? = nil,
    report: @escaping (ReadingProgress?) throws -> Void = { _ in }
  ) {
    self.model = model
    // An eighth is left for what the system itself keeps for the process, and for pages not yet dropped.
    limit = min(memory / 8 * 7, most ?? .max)
    isExact = most != nil
    self.report = report
  }

  /// Waits until a block's weights are in memory, and then has those of the block that is used after it read. Blocks are counted
  /// from 0. Throws what `report` throws.
  func enter(_ block: Int, next: Int?) throws {
    let parts = model.readParts(ofBlock: block)
    guard !parts.isEmpty else { return }
    let room = limit - parts.byteCount
    // Asking the system how much is allocated takes longer than some blocks.
    let window =
      next == nil ? 0 : room - (!isExact && room > limit / 2 ? 0 : MemoryMeter.privateBytes)
    guard room > 0 else { return }
    reader.use(
      .init(block, parts), then: next.map { .init($0, model.readParts(ofBlock: $0)) },
      window: max(0, window))
    var clock = ReadingClock(
      "block \(block + 1) of \(model.description.layers)", now: monotonicSeconds())
    defer { secondsWaited += monotonicSeconds() - clock.start }
    try reader.wait { progress in
      let state = clock.state(
        loaded: progress.loaded, of: progress.total, now: monotonicSeconds())
      if let state { try report(state) }
    }
    if clock.hasShown { try report(nil) }
  }

  /// Says that a block is no longer in use, so that its pages may be dropped.
  func leave(_ block: Int) {
    reader.release(block)
    model.releasePages(ofBlock: block)
  }
}

/// How far something has been read that the work waits for.
public struct ReadingProgress: Sendable, Equatable {
  /// What is read, such as `block 7 of 32`.
  public let name: String
  /// The bytes in memory.
  public let loaded: Int
  /// All bytes.
  public let total: Int
  /// The bytes read per second since the wait began.
  public let rate: Double
}

/// Decides when a wait is long enough to be shown, and how fast it goes.
struct ReadingClock {
  /// The seconds before the first state is shown, and between two.
  static let period = 0.25
  private let name: String
  /// When the wait began.
  let start: Double
  private var last: Double
  private var before: Int?
  /// Whether anything was to be shown.
  private(set) var hasShown = false

  init(_ name: String, now: Double) {
    self.name = name
    (start, last) = (now, now)
  }

  /// The state to show now; nil if there is nothing to show yet.
  mutating func state(loaded: Int, of total: Int, now: Double) -> ReadingProgress? {
    let first = before ?? loaded
    before = first
    guard now - last >= Self.period else { return nil }
    (last, hasShown) = (now, true)
    return ReadingProgress(
      name: name, loaded: loaded, total: total, rate: Double(loaded - first) / (now - start))
  }
}
