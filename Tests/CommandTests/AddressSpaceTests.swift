import TestSupport
import Testing

/// Under a limit on address space the command works or says what is missing; it does not wait for memory that never comes.
#if os(Linux)
  struct AddressSpaceTests {
    private func run(_ limit: String, _ arguments: [String]) throws -> Finished {
      try Command.run(
        ["-c", "ulimit \(limit) && exec \"$0\" \"$@\"", Command.executable] + arguments,
        executable: "/bin/sh", in: try ScratchFolder(),
        // The environment of a user's shell, however the tests are run.
        environment: ["OPENBLAS_NUM_THREADS": ""])
    }

    /// A process maps some 150 MB before it does anything; OpenBLAS wants 128 MB more for each thread.
    @Test(arguments: ["-v 200000", "-v 250000", "-v 300000", "-v 350000", "-v 600000", "-d 100000"])
    func worksOrSaysWhatIsMissing(limit: String) throws {
      let model = ModelFixture("llama").folder
      for threads in ["1", "2"] {
        let finished = try run(
          limit, ["align", model, "--token-ids", "1,2", "-o", "run", "--threads", threads])
        guard finished.status != 0 else { continue }
        #expect(finished.status == 1)
        let complaint = try #require(finished.complaints.last)
        #expect(complaint.contains("address space") && complaint.contains("raise the limit by"))
        #expect(complaint.contains(limit.dropFirst(3)))
      }
    }

    /// A command that needs no linear algebra is not refused.
    @Test func otherCommandsNeedLittle() throws {
      let finished = try run("-v 250000", ["info", ModelFixture("llama").folder])
      #expect(finished.status == 0, "\(finished.error)")
    }
  }
#endif
