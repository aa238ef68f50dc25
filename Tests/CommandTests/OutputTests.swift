import Foundation
import TestSupport
import Testing

@testable import Analysis

/// Everything printed arrives, or the command reports that it did not; and it fits the terminal.
struct OutputTests {
  private static let llama = ModelFixture("llama").folder
  private static let tokens = ["--token-ids", "5,3,9,7"]

  /// Runs a command whose standard output a shell puts somewhere.
  private func run(
    _ arguments: [String], output: String, in scratch: ScratchFolder
  ) throws -> Finished {
    try Command.run(
      ["-c", "exec \"$0\" \"$@\" \(output)", Command.executable] + arguments,
      executable: "/bin/sh", in: scratch)
  }

  /// Runs of the fixture named run, copy and others, and a folder of checkpoints.
  private func prepared() throws -> ScratchFolder {
    let run = try Command.align(Self.llama, Self.tokens + ["--top", "3"])
    for name in ["a", "b"] { try run.scratch.copy(run.folder, as: name) }
    try run.scratch.makeFolder("steps")
    try run.scratch.copy(Self.llama, as: "steps/step1")
    try run.scratch.write(Array("model,mean_of_six\nllama,3\n".utf8), to: "scores.csv")
    return run.scratch
  }

  /// Every command, and what exists before it has read anything.
  static let commands: [[String]] = [
    [], ["--help"], ["--version"], ["align", "--help"], ["help", "plan"],
    ["--generate-completion-script", "bash"], ["show", "run"], ["info", llama],
    ["align", llama, "-o", "new"] + tokens, ["align", llama, "-o", "run", "--top", "3"] + tokens,
    ["plan", llama] + tokens, ["bench", llama, "--top", "2", "--token-ids", "1,2"],
    ["bench", llama, "--top", "2", "--token-ids", "1,2", "--json"], ["compare", "run", "a"],
    ["compare", "run", "a", "--json"],
    ["emergence", "steps", "-o", "training"] + tokens,
    ["eigen", llama, "-o", "spectra", "--top", "2"] + tokens,
    [
      "synthesize", "--like", "smollm2-135m", "--layers", "1", "--width", "64", "--vocabulary", "8",
      "model",
    ],
  ]

  @Test(arguments: commands, [">/dev/full", ">&-"])
  func outputThatCannotBeWritten(_ command: [String], _ output: String) throws {
    #if os(Linux)
      let scratch = try prepared()
      let finished = try run(command, output: output, in: scratch)
      #expect(finished.status == 1, "\(finished.error)")
      let reason = output == ">&-" ? "Bad file descriptor" : "No space left on device"
      let message = finished.complaints.filter { $0.hasPrefix("Error: standard output") }
      #expect(message.count == 1 && message[0].contains(reason), "\(finished.error)")
      // The files of the command are still written.
      let made = ["align": "new", "emergence": "training/step1"][command.first ?? ""]
      if let made, !command.contains("--help"), !command.contains("run") {
        #expect(
          try RunRecord(json: Data(contentsOf: URL(filePath: scratch["\(made)/result.json"])))
            .complete)
      }
    #endif
  }

  /// A pipe closed early, as by `| head`, gives no message.
  @Test func pipesThatNobodyReads() throws {
    let scratch = try ScratchFolder()
    let (output, errors) = (Pipe(), Pipe())
    let process = try Command.process(["info", Self.llama], in: scratch)
    (process.standardOutput, process.standardError) = (output, errors)
    try output.fileHandleForReading.close()
    try process.run()
    process.waitUntilExit()
    try errors.fileHandleForWriting.close()
    #expect(try errors.fileHandleForReading.readToEnd() ?? Data() == Data())
    // Ended by the signal, or as if by it where that is ignored.
    let isSignal = process.terminationReason == .uncaughtSignal
    #expect(process.terminationStatus == (isSignal ? SIGPIPE : 128 + SIGPIPE))
  }

  // MARK: Tables

  @Test func tablesFitInto80Columns() throws {
    let one = ["--top", "24", "--ranks", "24", "--name", "m"]
    let many = (0..<6).flatMap { ["--token-ids", "\($0),3,9,7"] }
    let strict = ["--tolerance", "1e-12"]
    for options in [
      Self.tokens + one, Self.tokens + one + strict, many + one, many + one + strict,
      Self.tokens + one + ["--kind", "self"] + strict,
    ] {
      let run = try Command.align(Self.llama, options)
      // All but the last two lines, which hold paths, and a solver's advice.
      let lines = run.finished.output.split(separator: "\n").dropLast(2)
      for line in lines where !line.contains("block ") || !line.contains(": ") {
        #expect(line.count <= 80, "\(line)")
      }
    }
    let scratch = try ScratchFolder()
    let bench = try Command.run(["bench", Self.llama, "--token-ids", "1,2"], in: scratch)
    #expect(bench.status == 0, "\(bench.error)")
    for line in bench.output.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
  }

  @Test func alignSaysWhatDrawsItsRun() throws {
    let run = try Command.align(Self.llama, Self.tokens)
    #expect(
      run.finished.output.hasSuffix("krylens report run -o run-report draws what was written\n"))
  }

  /// A line through fewer than 5 points is not shown.
  @Test func noTrendOfThreeBlocks() throws {
    let run = try Command.align(Self.llama, Self.tokens)
    #expect(run.record.prompts[0].inverseLeadingFit == nil)
    #expect(!run.finished.output.contains("R²"))
  }

  // MARK: Again

  /// The lines without those that name the folder.
  private func tables(_ output: String) -> Substring {
    output[..<(output.range(of: "written to ")?.lowerBound ?? output.endIndex)]
  }

  @Test(arguments: [[], ["--normalisation", "p=1.5", "--score", "one-minus-square"]])
  func tablesArePrintedAgain(_ reading: [String]) throws {
    let options = Self.tokens + ["--token-ids", "1,2"] + reading
    let run = try Command.align(Self.llama, options)
    let again = try Command.run(
      ["align", Self.llama, "-o", "run", "--threads", "1"] + options, in: run.scratch)
    #expect(again.status == 0 && again.output == run.finished.output)
    #expect(again.error.contains("run already holds the complete run"))
    let shown = try Command.run(["show", run.folder], in: run.scratch)
    #expect(shown.status == 0 && shown.error.isEmpty)
    #expect(tables(shown.output) == tables(run.finished.output))
  }

  @Test func showsWhatIsKnownOfAnUnfinishedRun() throws {
    let runs = try MadeRuns()
    try runs.add("part") {
      $0.complete = false
      for p in $0.prompts.indices {
        ($0.prompts[p].coupling, $0.prompts[p].overlap) = ([], [])
        $0.prompts[p].layers.removeLast()
        $0.prompts[p].trajectory.norms = []
        $0.prompts[p].trajectory.lineShapeScore = []
      }
      $0.prompts[1].layers = []
      $0.statistics.coupling = []
    }
    let shown = try runs.run(["show", "part"])
    #expect(shown.status == 0 && shown.output.contains("not finished"), "\(shown.error)")
    #expect(shown.output.contains("σ₁") && shown.output.contains("read from part"))
    let nothing = try runs.run(["show", "nowhere"])
    #expect(nothing.status == 1 && nothing.error.contains("nowhere"))
  }

  /// A failed prompt is listed among the others, with its reason, and disturbs no table.
  @Test(arguments: [1, 5]) func failedPromptsAreShown(_ copies: Int) throws {
    let runs = try MadeRuns()
    try runs.add("failed") {
      $0.prompts = Array(repeating: $0.prompts, count: copies).flatMap { $0 }
      $0.prompts[1].failed = PromptFailure(
        number: 2, text: "a\u{1B}b", layer: 2, token: 5, tensor: nil,
        reason: "the state is not finite")
      ($0.prompts[1].layers, $0.prompts[1].coupling) = ([], [])
    }
    let shown = try runs.run(["show", "failed"])
    #expect(shown.status == 0 && !shown.output.contains("\u{1B}"), "\(shown.error)")
    #expect(shown.output.contains("prompt 2 (\"a"))
    #expect(shown.output.contains("failed at block 2, token 5: the state is not finite"))
    #expect(shown.output.contains("1 of \(3 * copies) prompts failed"))
  }
}
