import Analysis
import Foundation
import TestSupport
import Testing

/// Runs that are killed at any moment resume from there, and end as if nothing had happened.
struct KillTests {
  /// Prompts in three groups, two tokens each.
  private static let options =
    (0..<20).flatMap { ["--token-ids", "\($0),7,3,\(20 + $0),5"] } + [
      "--tokens", "0,-1", "--top", "4", "--ranks", "2,4", "--threads", "1", "-o", "run",
      "--save-hidden-states",
    ]

  /// The contents of a run folder, apart from times and memory.
  private func contents(_ folder: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      files[name] = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))
    }
    var record = try RunRecord(json: try #require(files["result.json"]))
    (record.seconds.total, record.seconds.load) = (0, 0)
    (record.seconds.solve, record.seconds.coupling) = (0, 0)
    record.seconds.reading = nil
    (record.peakMemoryBytes, record.peakPrivateBytes) = (0, 0)
    for p in record.prompts.indices {
      for l in record.prompts[p].layers.indices { record.prompts[p].layers[l].seconds = 0 }
    }
    files["result.json"] = try record.json()
    return files
  }

  /// kill −9 after random times, again and again until the run survives one; `make kill-test` does it 50 times.
  @Test func killedRunsEndAsIfUndisturbed() throws {
    let rounds = ProcessInfo.processInfo.environment["KRYLENS_KILLS"].flatMap(Int.init) ?? 4
    let command = ["align", ModelFixture("llama").folder] + Self.options
    let undisturbed = try ScratchFolder()
    let start = Date()
    #expect(try Command.run(command, in: undisturbed).status == 0)
    let duration = Date().timeIntervalSince(start)
    let wanted = try contents(undisturbed["run"])
    #expect(wanted.count == 7)
    var generator = SystemRandomNumberGenerator()
    var kills = 0
    for round in 1...rounds {
      let scratch = try ScratchFolder()
      var finished: Finished
      // Kept work need not be done again, and the times grow, so some attempt survives on any machine.
      var most = duration
      repeat {
        let delay = Double.random(in: 0...most, using: &generator)
        most *= 1.1
        finished = try Command.run(command, in: scratch) { process in
          Thread.sleep(forTimeInterval: delay)
          kill(process.processIdentifier, SIGKILL)
        }
        if finished.status == -SIGKILL { kills += 1 }
        try #require([0, -SIGKILL].contains(finished.status), "\(finished.error)")
      } while finished.status != 0
      #expect(try contents(scratch["run"]) == wanted, "round \(round)")
      #expect(scratch.contents == ["run"])
    }
    print("killed \(kills) times in \(rounds) rounds of \(duration) s")
  }

  @Test func finishedRunsAreLeftAlone() throws {
    let scratch = try ScratchFolder()
    let command = ["align", ModelFixture("llama").folder] + Self.options
    #expect(try Command.run(command, in: scratch).status == 0)
    let before = try Data(contentsOf: URL(fileURLWithPath: scratch["run/result.json"]))
    let again = try Command.run(command, in: scratch)
    #expect(again.status == 0 && again.error.contains("nothing was done"))
    #expect(try Data(contentsOf: URL(fileURLWithPath: scratch["run/result.json"])) == before)
    let other = try Command.run(command + ["--seed", "4"], in: scratch)
    #expect(other.status == 1 && other.error.contains("--seed is 0 there and 4 here"))
    #expect(other.error.contains("--output"))
  }

  @Test func shardsAreJoinedByTheCommand() throws {
    let scratch = try ScratchFolder()
    let options = Self.options.filter { $0 != "-o" && $0 != "run" }
    for part in ["1/2", "2/2"] {
      let finished = try Command.run(
        ["align", ModelFixture("llama").folder, "--shard", part, "-o", "part-\(part.prefix(1))"]
          + options, in: scratch)
      #expect(finished.status == 0, "\(finished.error)")
    }
    let merged = try Command.run(["merge", "part-2", "part-1", "-o", "merged"], in: scratch)
    #expect(merged.status == 0 && merged.output.contains("20 prompts"), "\(merged.error)")
    let record = try StoredRun(scratch["merged"]).record
    #expect(record.prompts.compactMap { $0.tokenIds?.first } == Array(0..<20))
    let missing = try Command.run(["merge", "part-2", "-o", "half"], in: scratch)
    #expect(missing.status == 1 && missing.error.contains("1/2"))
  }
}
