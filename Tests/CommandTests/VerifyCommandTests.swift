import Foundation
import TestSupport
import Testing

/// `krylens verify`: its exit status, its output, and its file.
struct VerifyCommandTests {
  private func align(_ scratch: ScratchFolder) throws {
    let made = try Command.run(
      [
        "align", ModelFixture("llama").folder, "--token-ids", "5,3,9", "--top", "3", "--ranks", "3",
        "--quiet", "--threads", "1", "-o", "run",
      ], in: scratch)
    try #require(made.status == 0, "\(made.error)")
  }

  private func verify(_ options: String..., in scratch: ScratchFolder) throws -> Finished {
    try Command.run(["verify", "run", "--threads", "1"] + options, in: scratch)
  }

  @Test func soundRunsPass() throws {
    let scratch = try ScratchFolder()
    try align(scratch)
    let finished = try verify("--json", "report.json", in: scratch)
    #expect(finished.status == 0 && finished.error.isEmpty)
    #expect(finished.output.contains("\nPASS: "))
    let report = try MadeRuns.object(
      String(contentsOfFile: scratch["report.json"], encoding: .utf8))
    #expect(report["passed"] as? Bool == true && report.objects("failures").isEmpty)
    #expect(report.objects("kinds").allSatisfy { ($0.number("worst_ratio") ?? 2) <= 1 })
    #expect(try verify("--quiet", in: scratch).output.isEmpty)
  }

  @Test func alteredRunsFail() throws {
    let scratch = try ScratchFolder()
    try align(scratch)
    let path = scratch["run/result.json"]
    var record = try MadeRuns.object(String(contentsOfFile: path, encoding: .utf8))
    var prompts = record.objects("prompts")
    var layers = prompts[0].objects("layers")
    layers[1]["residual_norms"] = [0.0, 0.25, 0.0]
    prompts[0]["layers"] = layers
    record["prompts"] = prompts
    try JSONSerialization.data(withJSONObject: record).write(to: URL(fileURLWithPath: path))
    let finished = try verify(in: scratch)
    #expect(finished.status == 1 && finished.output.contains("\nFAIL: 1 of "))
    #expect(
      finished.unwrapped.contains(
        "residual norms: prompt 1, block 2, token 2, triplet 2: 0.25 recorded"))
    #expect(finished.error.contains("run: 1 number of "))
    #expect(try verify("--layers", "1", in: scratch).status == 0)
  }

  @Test func whatCannotBeCheckedSaysWhy() throws {
    let scratch = try ScratchFolder()
    try align(scratch)
    let other = try verify("--model", ModelFixture("mistral").folder, in: scratch)
    #expect(other.status == 64 && other.error.contains("give its own model with --model"))
    let prompts = try verify("--prompts", "2", in: scratch)
    #expect(
      prompts.status == 64 && prompts.error.contains("--prompts 2: the run has the prompts 1 to 1"))
    #expect(try verify("--sample", "-1", in: scratch).status == 64)
    let maps = try Command.run(
      [
        "triplets", ModelFixture("llama").folder, "--token-ids", "5,3", "--from-layer", "0",
        "--top", "2", "--quiet", "-o", "maps",
      ], in: scratch)
    try #require(maps.status == 0, "\(maps.error)")
    let wrong = try Command.run(["verify", "maps"], in: scratch)
    #expect(wrong.status == 64)
    #expect(
      wrong.error.contains(
        "is a run of krylens triplets, but krylens verify checks runs of krylens align"))
    #expect(try Command.run(["verify", "nothing"], in: scratch).status == 1)
  }
}
