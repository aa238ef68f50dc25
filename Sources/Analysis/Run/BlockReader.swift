import Files
import Model

/// Reads a model's blocks, and its head, in the order in which a pass uses them: while one is in use, the next is read in the
/// background.
///
/// No more is read ahead than fits into memory beside the part in use and what the process has allocated. If not even that
/// fits, nothing is read ahead, and the system reads pages when they are touched.
final class BlockReader {
  /// A part of a model that is used as a whole.
  enum Part {
    /// A block, counted from 0.
    case block(Int)
    /// The matrix of the head.
    case head
  }

  private let model: any Transformer
  private let limit: Int
  /// Whether the process's own memory is always counted.
  private let isExact: Bool
  /// Called while a part is waited for, and with nil after it; may throw.
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

  /// Waits until a part's weights are in memory, and then has those of the part that is used after it read. Throws what
  /// `report` throws.
  func enter(_ part: Part, next: Part? = nil) throws {
    let unit = unit(part)
    guard !unit.parts.isEmpty else { return }
    let room = limit - unit.parts.byteCount
    // Asking the system how much is allocated takes longer than some blocks.
    let window =
      next == nil ? 0 : room - (!isExact && room > limit / 2 ? 0 : MemoryMeter.privateBytes)
    guard room > 0 else { return }
    reader.use(unit, then: next.map { self.unit($0) }, window: max(0, window))
    var clock = ReadingClock(name(part), now: monotonicSeconds())
    defer { secondsWaited += monotonicSeconds() - clock.start }
    try reader.wait { progress in
      let state = clock.state(
        loaded: progress.loaded, of: progress.total, now: monotonicSeconds())
      if let state { try report(state) }
    }
    if clock.hasShown { try report(nil) }
  }

  /// Says that a part is no longer in use, so that its pages may be dropped.
  func leave(_ part: Part) {
    reader.release(unit(part).id)
    switch part {
    case .block(let block): model.releasePages(ofBlock: block)
    case .head: for part in model.headParts { part.advise(.dontNeed) }
    }
  }

  private func unit(_ part: Part) -> BackgroundReader.Unit {
    switch part {
    case .block(let block): .init(block, model.readParts(ofBlock: block))
    case .head: .init(-1, model.headParts)
    }
  }

  private func name(_ part: Part) -> String {
    switch part {
    case .block(let block): "block \(block + 1) of \(model.description.layers)"
    case .head: "the head"
    }
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
