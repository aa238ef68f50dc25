import Testing

@testable import Analysis
@testable import krylens

/// The progress of a run fits the width of its terminal.
struct ProgressTests {
  private func state(_ completed: Int, left: Double? = nil) -> RunProgressState {
    RunProgressState(phase: "solving", completed: completed, total: 960, secondsLeft: left)
  }

  private let reading = ReadingProgress(
    name: "block 7 of 32", loaded: 1_200_000_000, total: 3_400_000_000, rate: 2.1e8)

  @Test(arguments: 0...200) func lineIsNarrowerThanTheTerminal(_ columns: Int) {
    for completed in [0, 1, 480, 959, 960] {
      let line = ProgressBar.line(
        .init(state: state(completed, left: 3000)), seconds: 4000, columns: columns)
      #expect(line.count < max(columns, 1), "\(line)")
      #expect(columns < 9 || line.contains("\(completed)/960"))
      #expect(columns < 80 || line.hasPrefix(completed < 30 ? "░" : "█"))
      for state in [nil, state(completed)] {
        let line = ProgressBar.line(
          .init(state: state, reading: reading), seconds: 4000, columns: columns)
        #expect(line.count < max(columns, 1), "\(line)")
        #expect(columns < 23 || line.contains("reading block 7 of 32"))
      }
    }
  }

  @Test func wordsWhileReading() {
    let words = "reading block 7 of 32 (1.2 of 3.4 GB, 210 MB/s)"
    #expect(ProgressBar.words(.init(reading: reading), seconds: 45) == words)
    #expect(
      ProgressBar.words(.init(state: state(12, left: 200), reading: reading), seconds: 45)
        == "solving 12/960, " + words)
    let small = ReadingProgress(
      name: "the weights once", loaded: 4_000_000, total: 135_000_000, rate: 0)
    #expect(ProgressBar.words(small) == "reading the weights once (4 of 135 MB, 0 MB/s)")
  }

  @Test func words() {
    #expect(
      ProgressBar.words(state(12, left: 200), seconds: 45)
        == "solving 12/960, 45 s, about 3 min left")
    #expect(ProgressBar.words(state(12), seconds: 5000) == "solving 12/960, 83 min")
  }
}
