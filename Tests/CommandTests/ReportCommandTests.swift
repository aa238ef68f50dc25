import Foundation
import TestSupport
import Testing

/// `krylens report`: what it writes, and how it fails.
struct ReportCommandTests {
  static let hasGnuplot = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    .contains { FileManager.default.isExecutableFile(atPath: "\($0)/gnuplot") }

  private func expectFailure(
    _ status: Int32, _ options: [String], names: [String], in scratch: ScratchFolder,
    environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let before = scratch.contents
    let finished = try Command.run(
      ["report"] + options, in: scratch, environment: environment)
    #expect(finished.status == status, "\(finished.error)", sourceLocation: sourceLocation)
    #expect(finished.output.isEmpty, sourceLocation: sourceLocation)
    #expect(scratch.contents == before, sourceLocation: sourceLocation)
    let messages = finished.complaints.filter { $0.hasPrefix("Error: ") }
    #expect(messages.count == 1, "\(finished.error)", sourceLocation: sourceLocation)
    for name in names {
      #expect(finished.error.contains(name), "\(finished.error)", sourceLocation: sourceLocation)
    }
  }

  @Test func failsClearly() throws {
    let run = try Command.align(ModelFixture("llama").folder, ["--token-ids", "1,2,3"])
    let scratch = run.scratch
    try expectFailure(64, ["-o", "out"], names: ["<run>"], in: scratch)
    try expectFailure(64, ["run"], names: ["--output"], in: scratch)
    try expectFailure(1, ["nothing", "-o", "out"], names: ["nothing"], in: scratch)
    try expectFailure(
      1, ["run", "-o", "out"], names: ["gnuplot-nox"], in: scratch,
      environment: ["PATH": "/nowhere"])
    if Self.hasGnuplot {
      try expectFailure(
        1, ["run", "-o", "run"], names: ["run is a run folder", "--output"], in: scratch)
      try expectFailure(1, ["run", "-o", "run/result.json"], names: ["result.json"], in: scratch)
    }
  }

  @Test(
    .enabled(
      if: hasGnuplot,
      "gnuplot is not installed: no report can be made (apt-get install gnuplot-nox)"))
  func leavesAPage() throws {
    let run = try Command.align(
      ModelFixture("llama").folder, ["--token-ids", "1,2,3", "--name", "<i>`id`</i>"])
    let finished = try Command.run(["report", "run", "-o", "out"], in: run.scratch)
    #expect(finished.status == 0 && finished.error.isEmpty, "\(finished.error)")
    #expect(finished.output.contains("out/index.html"))
    let page = try String(contentsOfFile: run.scratch["out/index.html"], encoding: .utf8)
    #expect(page.contains("&lt;i&gt;`id`&lt;/i&gt;") && !page.contains("<i>"))
    #expect(page.contains("<figure id=\"run-1-depth\">"))
    // A report is replaced; any other folder is left unchanged.
    try run.scratch.write([], to: "out/figures/old.svg")
    let again = try Command.run(["report", "run", "-o", "out"], in: run.scratch)
    #expect(again.status == 0 && again.error.isEmpty, "\(again.error)")
    #expect(try String(contentsOfFile: run.scratch["out/index.html"], encoding: .utf8) == page)
    let files = FileManager.default
    #expect(!files.fileExists(atPath: run.scratch["out/figures/old.svg"]))
    #expect(try files.contentsOfDirectory(atPath: run.scratch["out"]).count == 2)
    try run.scratch.write([], to: "out/notes.txt")
    try expectFailure(
      1, ["run", "-o", "out"], names: ["out", "other than a report", "--output"], in: run.scratch)
    let quiet = try Command.run(["report", "run", "-o", "out2", "--quiet"], in: run.scratch)
    #expect(quiet.status == 0 && quiet.output.isEmpty && quiet.error.isEmpty)
  }

  /// If the disk is full, at any point, the message says so instead of blaming gnuplot, and an earlier report is kept.
  @Test(
    .enabled(
      if: hasGnuplot,
      "gnuplot is not installed: no report can be made (apt-get install gnuplot-nox)"),
    arguments: [4, 12, 40, 90])
  func fullDisk(_ kilobytes: Int) throws {
    #if os(Linux)
      let run = try Command.align(ModelFixture("llama").folder, ["--token-ids", "1,2,3"])
      let disk = run.scratch["disk"]
      try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: false)
      guard mount("tmpfs", disk, "tmpfs", 0, "size=\(kilobytes)k") == 0 else {
        print("fullDisk is skipped: no file system can be mounted here")
        return
      }
      defer { umount(disk) }
      let finished = try Command.run(["report", "run", "-o", "disk/out"], in: run.scratch)
      #expect(finished.status == 1 && finished.complaints.count == 1, "\(finished.error)")
      #expect(finished.error.contains("disk/out: ") && finished.error.contains("No space left"))
      #expect(!finished.error.contains("gnuplot"), "\(finished.error)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: disk) == [])
    #endif
  }
}
