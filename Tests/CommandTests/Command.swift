import Analysis
import Foundation
import TestSupport
import Testing

/// The outcome of a command.
struct Finished {
  /// Its exit status, or minus the signal that ended it.
  let status: Int32
  /// The text on standard output.
  let output: String
  /// The text on standard error.
  let error: String

  /// The lines of standard error, except the one that announces which of a fixture's two sets of weights is read.
  var complaints: [Substring] {
    error.split(separator: "\n").filter { !$0.contains("weights are read from") }
  }
}

/// The built command, run as a user does, in a process of its own.
enum Command {
  /// The path of the command, beside the bundle of these tests.
  static let executable: String = {
    let bundle = Bundle.allBundles.first { $0.bundleURL.pathExtension == "xctest" }
    let folder = bundle?.bundleURL ?? Bundle.main.executableURL!
    return folder.deletingLastPathComponent().appendingPathComponent("krylens").path
  }()

  /// A process that is not yet started; its output goes to files in `scratch`.
  static func process(
    _ arguments: [String], executable: String = executable, in scratch: ScratchFolder,
    environment: [String: String] = [:]
  ) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: scratch.path)
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    return process
  }

  /// Runs a command to its end.
  static func run(
    _ arguments: [String], executable: String = executable, in scratch: ScratchFolder,
    environment: [String: String] = [:], whileRunning: (Process) throws -> Void = { _ in }
  ) throws -> Finished {
    // The output goes to files beside the scratch folder, which stays clean, and no pipe fills up.
    let logs = try ScratchFolder()
    let process = try process(
      arguments, executable: executable, in: scratch, environment: environment)
    let files = try ["output", "error"].map { name in
      try logs.write([], to: name)
      return try FileHandle(forWritingTo: URL(fileURLWithPath: logs[name]))
    }
    (process.standardOutput, process.standardError) = (files[0], files[1])
    try withSignalsUnblocked { try process.run() }
    try whileRunning(process)
    process.waitUntilExit()
    for file in files { try file.close() }
    let text = { (name: String) in try String(contentsOfFile: logs[name], encoding: .utf8) }
    let isSignal = process.terminationReason == .uncaughtSignal
    return Finished(
      status: isSignal ? -process.terminationStatus : process.terminationStatus,
      output: try text("output"), error: try text("error"))
  }

  /// A process inherits what its parent's thread blocks, and worker threads block nearly every signal.
  private static func withSignalsUnblocked(_ body: () throws -> Void) rethrows {
    var (none, before) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    try body()
  }

  /// Runs `krylens align MODEL OPTIONS`, which must succeed, and returns its run folder.
  static func align(
    _ model: String, _ options: [String], environment: [String: String] = [:]
  ) throws -> Run {
    let scratch = try ScratchFolder()
    let threads = options.contains("--threads") ? [] : ["--threads", "1"]
    let finished = try run(
      ["align", model, "-o", "run"] + threads + options, in: scratch, environment: environment)
    try #require(finished.status == 0, "\(finished.error)")
    return try Run(scratch, "run", finished)
  }
}

/// A run folder and its record.
struct Run {
  /// Keeps the folder alive.
  let scratch: ScratchFolder
  let folder: String
  let finished: Finished
  let record: RunRecord

  init(_ scratch: ScratchFolder, _ name: String, _ finished: Finished) throws {
    self.scratch = scratch
    self.finished = finished
    folder = scratch[name]
    record = try RunRecord(
      json: try Data(contentsOf: URL(fileURLWithPath: "\(folder)/result.json")))
  }

  /// What is printed between the title and the summary: all but names, times and memory.
  var table: String {
    finished.output.split(separator: "\n", omittingEmptySubsequences: false).dropFirst()
      .prefix { !$0.contains(" s (load ") }.joined(separator: "\n")
  }
}

extension [Int] {
  /// The list as an argument of `--token-ids`.
  var list: String { map { "\($0)" }.joined(separator: ",") }
}
