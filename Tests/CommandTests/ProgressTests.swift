import Testing

@testable import Analysis
@testable import krylens

/// The progress of a run fits the width of its terminal.
struct ProgressTests {
  private func state(_ completed: Int, left: Double? = nil) -> RunProgressState {
    RunProgressState(phase: "solving", completed: completed, total: 960, secondsLeft: left)
  }

  @Test(arguments: 0...200) func lineIsNarrowerThanTheTerminal(_ columns: Int) {
    for completed in [0, 1, 480, 959, 960] {
      let line = ProgressBar.line(
        state(completed, left: 3000), seconds: 4000, columns: columns)
      #expect(line.count < max(columns, 1), "\(line)")
      #expect(columns < 9 || line.contains("\(completed)/960"))
      #expect(columns < 80 || line.hasPrefix(completed < 30 ? "░" : "█"))
    }
  }

  @Test func words() {
    #expect(
      ProgressBar.words(state(12, left: 200), seconds: 45)
        == "solving 12/960, 45 s, about 3 min left")
    #expect(ProgressBar.words(state(12), seconds: 5000) == "solving 12/960, 83 min")
  }
}
