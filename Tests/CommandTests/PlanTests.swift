import Foundation
import TestSupport
import Testing

/// `plan` for models that are not here, and for several processes.
struct PlanTests {
  /// A checkpoint without numbers takes no disk space, and a run on it is predicted like one on random weights.
  @Test func emptyWeightsAreEnough() throws {
    let scratch = try ScratchFolder()
    let options = [
      "--like", "smollm2-135m", "--layers", "4", "--width", "256", "--vocabulary", "1000",
    ]
    let made = ["empty", "random"].map { name in
      try? Command.run(
        ["synthesize"] + options + (name == "empty" ? ["--empty"] : []) + [name], in: scratch)
    }
    try #require(made.allSatisfy { $0?.status == 0 })
    let status = { (name: String) throws -> stat in
      var status = stat()
      try #require(stat(scratch["\(name)/model.safetensors"], &status) == 0)
      return status
    }
    let (empty, random) = (try status("empty"), try status("random"))
    #expect(empty.st_size == random.st_size)
    // The header alone, in blocks of 512 bytes.
    #expect(empty.st_blocks * 512 < 1 << 16)
    let memory = try ["empty", "random"].map { name in
      let plan = try Command.run(
        ["plan", name, "--token-ids", "1,2,3", "--threads", "1"], in: scratch)
      try #require(plan.status == 0, "\(plan.error)")
      let line = plan.output.split(separator: "\n").first { $0.hasSuffix("peak private memory") }
      return try #require(
        line?.split(separator: " ").first.flatMap { Double($0) }, "\(plan.output)")
    }
    // The pages of the program that happen to be in memory differ a little from one process to the next.
    #expect(abs(memory[0] / memory[1] - 1) < 0.05, "\(memory)")
  }
}
