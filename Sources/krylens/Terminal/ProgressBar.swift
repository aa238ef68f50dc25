import Analysis
import Foundation
import Synchronization

/// Shows a run's progress on standard error, as a bar on a terminal and otherwise as one line per minute, and passes on the
/// user's interrupt.
final class ProgressBar: RunProgress {
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let start = Date()
  private let latest = Latest()
  private var isShown: Bool
  private var clock: (any DispatchSourceTimer)?

  /// What was last reported, shared with the clock's thread.
  private final class Latest: Sendable {
    let shown = Mutex(Shown())
  }

  /// The state of the run, and what it waits for.
  struct Shown: Sendable {
    /// nil before the first block is finished.
    var state: RunProgressState?
    /// nil unless the work waits for a file to be read.
    var reading: ReadingProgress?
  }

  /// `period` is the time in seconds between two lines when standard error is not a terminal.
  init(isShown: Bool, period: Double = 60) {
    self.isShown = isShown
    Interrupt.catchSignals()
    guard isShown, !isTerminal else { return }
    let clock = DispatchSource.makeTimerSource(queue: .global())
    clock.setEventHandler { [latest, start] in
      let shown = latest.shown.withLock { $0 }
      guard shown.state != nil || shown.reading != nil else { return }
      note(Self.words(shown, seconds: Date().timeIntervalSince(start)))
    }
    clock.schedule(deadline: .now() + period, repeating: period)
    clock.resume()
    self.clock = clock
  }

  deinit { clock?.cancel() }

  var isCancelled: Bool { Interrupt.hasCome }

  func update(_ state: RunProgressState) {
    guard state.total > 0 else { return }
    show { $0.state = state }
  }

  func report(_ reading: ReadingProgress?) { show { $0.reading = reading } }

  private func show(_ change: (inout Shown) -> Void) {
    guard isShown else { return }
    let shown = latest.shown.withLock {
      change(&$0)
      return $0
    }
    guard isTerminal else { return }
    let line = Self.line(
      shown, seconds: Date().timeIntervalSince(start), columns: Self.terminalColumns)
    write("\r\(line)\u{1B}[K")
  }

  /// Clears the line; nothing is drawn afterwards.
  func finish() {
    clock?.cancel()
    if isShown, isTerminal { write("\r\u{1B}[K") }
    isShown = false
  }

  // MARK: Text

  /// A bar and its legend, shorter than the terminal is wide: some terminals wrap after the last column.
  static func line(_ shown: Shown, seconds: Double, columns: Int) -> String {
    let room = max(0, columns - 1)
    var choices = [words(shown, seconds: seconds)]
    if let reading = shown.reading { choices += [words(reading), "reading \(reading.name)"] }
    if let state = shown.state {
      choices += [
        words(state, seconds: nil), "\(state.completed)/\(state.total)",
        "\(100 * state.completed / state.total) %",
      ]
    }
    // A truncated number would be a different number.
    guard let words = choices.first(where: { $0.count <= room }) else { return "" }
    guard let state = shown.state else { return words }
    let width = min(32, room - words.count - 1)
    guard width >= 4 else { return words }
    let filled = width * state.completed / state.total
    return String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
      + " " + words
  }

  /// Everything in words: `solving 12/60, reading block 7 of 32 (1.2 of 3.4 GB, 210 MB/s)` while a file is read.
  static func words(_ shown: Shown, seconds: Double) -> String {
    guard let reading = shown.reading else {
      return shown.state.map { words($0, seconds: seconds) } ?? ""
    }
    return (shown.state.map { words($0, seconds: nil) + ", " } ?? "") + words(reading)
  }

  /// The progress of reading in words, `reading block 7 of 32 (1.2 of 3.4 GB, 210 MB/s)`.
  static func words(_ reading: ReadingProgress) -> String {
    let (unit, name) = reading.total < 1_000_000_000 ? (1e6, "MB") : (1e9, "GB")
    let amount = { (bytes: Int) in
      String(format: unit == 1e9 ? "%.1f" : "%.0f", Double(bytes) / unit)
    }
    return
      "reading \(reading.name) (\(amount(reading.loaded)) of \(amount(reading.total)) \(name), "
      + "\(Int(min(reading.rate, 1e15) / 1e6)) MB/s)"
  }

  /// The progress in words, `solving 12/60, 45 s, about 3 min left`; without times if `seconds` is nil.
  static func words(_ state: RunProgressState, seconds: Double?) -> String {
    let done = "\(state.phase) \(state.completed)/\(state.total)"
    guard let seconds else { return done }
    let left = state.secondsLeft.map { ", about \(spoken($0)) left" } ?? ""
    return "\(done), \(spoken(seconds))\(left)"
  }

  /// A duration in words: 45 s, 12 min, 3 h 20 min.
  static func spoken(_ seconds: Double) -> String {
    let minutes = Int((min(seconds, 1e9) / 60).rounded())
    if seconds < 90 { return "\(Int(seconds.rounded(.up))) s" }
    return minutes < 90 ? "\(minutes) min" : "\(minutes / 60) h \(minutes % 60) min"
  }

  /// The current width of the terminal; 80 if it is unknown.
  private static var terminalColumns: Int {
    var size = winsize()
    let isKnown = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    return isKnown ? Int(size.ws_col) : 80
  }

  private func write(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
  }
}
