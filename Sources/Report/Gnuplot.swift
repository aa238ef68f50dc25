import Foundation

/// gnuplot, run as a process of its own, without a shell.
///
/// It reads a script we wrote, under a name we chose, and none of the user's settings (`--default-settings`). Whatever came
/// from a model, a prompt or a file is in the data files the script names, never in the script: see `DataTable`.
struct Gnuplot {
  /// Where it is.
  let executable: String
  /// How long one figure may take. The slowest here take a second.
  var seconds = 120

  /// The gnuplot of `path`, a list like `PATH`. Throws `ReportError.noGnuplot`.
  init(path: String = ProcessInfo.processInfo.environment["PATH"] ?? "") throws(ReportError) {
    // Absolute folders only: what lies in the present one is not a program to run.
    let places = path.split(separator: ":").filter { $0.hasPrefix("/") }.map { "\($0)/gnuplot" }
    guard let found = places.first(where: FileManager.default.isExecutableFile) else {
      throw .noGnuplot
    }
    executable = found
  }

  /// Runs `name`.gp in `folder`, and returns the warnings.
  ///
  /// Throws `ReportError.gnuplotFailed`, with the first line of what it said, and `gnuplotTimedOut`.
  @discardableResult
  func run(_ name: String, in folder: String) throws(ReportError) -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = ["--default-settings", "\(name).gp"]
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    // Numbers have a decimal point and text is UTF-8, wherever this runs.
    process.environment = ProcessInfo.processInfo.environment
      .filter { !$0.key.hasPrefix("GNUPLOT") && $0.key != "GDFONTPATH" }
      .merging(["LC_ALL": "C.UTF-8"]) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    let errors = Pipe()
    process.standardError = errors
    do { try process.run() } catch {
      throw .gnuplotFailed(figure: name, reason: error.localizedDescription)
    }
    let (stopped, clock) = (Flag(), DispatchSource.makeTimerSource(queue: .global()))
    clock.setEventHandler {
      stopped.raise()
      kill(process.processIdentifier, SIGKILL)
    }
    clock.schedule(deadline: .now() + .seconds(seconds))
    clock.resume()
    let said = String(
      decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    clock.cancel()
    if stopped.isRaised { throw .gnuplotTimedOut(figure: name, seconds: seconds) }
    guard process.terminationReason == .exit, process.terminationStatus == 0 else {
      throw .gnuplotFailed(figure: name, reason: Self.complaint(said))
    }
    return said
  }

  /// The line that says what is wrong: gnuplot repeats the command first, with a mark below it.
  private static func complaint(_ said: String) -> String {
    let lines = said.split(whereSeparator: \.isNewline).map(String.init)
    let line = lines.first { $0.hasPrefix("\"") && $0.contains("line") } ?? lines.last
    return line.map { plainText($0, limit: 300) } ?? "it gave no reason"
  }
}

/// Something that happened on another thread.
private final class Flag: @unchecked Sendable {
  private let lock = NSLock()
  private var value = false

  var isRaised: Bool { lock.withLock { value } }
  func raise() { lock.withLock { value = true } }
}
