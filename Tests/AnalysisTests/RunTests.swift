import Foundation
import TestSupport
import Testing

@testable import Analysis

/// A run from the library: its record, its folder, its progress, its memory.
struct RunTests {
  private func run(
    _ progress: (any RunProgress)? = nil, _ change: (inout RunSettings) -> Void = { _ in }
  ) throws -> RunResult {
    var settings = RunSettings(model: ModelFixture("llama").folder, name: "llama", threads: 1)
    (settings.top, settings.ranks) = (4, [2, 4])
    change(&settings)
    return try AlignmentRun(settings, prompts: [.tokens([5, 3, 9]), .tokens([7])])
      .run(progress: progress, meter: MemoryMeter())
  }

  @Test func recordRoundTrips() throws {
    let record = try run { ($0.layers, $0.fromToken) = ([1, 3], .index(-1)) }.record
    let json = try record.json()
    let again = try RunRecord(json: json)
    #expect(try again.json() == json)
    #expect(again.prompts[0].layers[0].singularValues == record.prompts[0].layers[0].singularValues)
    #expect(again.prompts[0].coupling == record.prompts[0].coupling)
    #expect(again.settings.layers == [1, 3] && again.settings.fromToken == .index(-1))
    #expect(again.settings.rankShare == nil && again.settings.maxMemory == nil)
    #expect(throws: DecodingError.self) { try RunRecord(json: Data("{}".utf8)) }
    #expect(throws: DecodingError.self) { try RunRecord(json: json.dropLast(10)) }
  }

  @Test func whatIsShownIsAmongWhatIsRecorded() throws {
    for prompt in try run(nil, { $0.sign = .absolute }).prompts {
      #expect(prompt.shown.map(\.setting.rank) == [2, 4])
      for table in prompt.shown {
        #expect(table.setting.sign == .absolute && prompt.record.coupling.contains(table))
      }
    }
  }

  // MARK: Progress

  private final class Watch: RunProgress {
    var steps: [(phase: String, completed: Int, total: Int)] = []
    let limit: Int
    init(cancelAfter limit: Int = .max) { self.limit = limit }
    func update(_ phase: String, completed: Int, total: Int) {
      steps.append((phase, completed, total))
    }
    var isCancelled: Bool { steps.count >= limit }
  }

  @Test func progressReachesItsTotal() throws {
    let watch = Watch()
    _ = try run(watch)
    #expect(watch.steps.map(\.completed) == watch.steps.map(\.completed).sorted())
    let last = try #require(watch.steps.last)
    #expect(last.completed == last.total && watch.steps.allSatisfy { $0.total == last.total })
    #expect(Set(watch.steps.map(\.phase)) == ["solving", "coupling"])
  }

  @Test(arguments: [1, 3, 5])
  func cancelledRunsStop(after limit: Int) {
    let watch = Watch(cancelAfter: limit)
    #expect(throws: RunError.interrupted) { try run(watch) }
    #expect(watch.steps.count == limit)
  }

  // MARK: Folder

  @Test func folderIsThereWholeOrNotAtAll() throws {
    let scratch = try ScratchFolder()
    let folder = try RunFolder(scratch["deep/run"])
    #expect(scratch.contents.isEmpty)
    let result = try run()
    try folder.write(result)
    #expect(scratch.contents == ["deep"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch["deep"]) == ["run"])
    #expect(throws: RunError.outputNotEmpty(path: scratch["deep/run"])) {
      try RunFolder(scratch["deep/run"])
    }
    // Somebody else came first: theirs stays, ours goes.
    let late = try RunFolder(scratch["other/run"])
    try FileManager.default.createDirectory(
      atPath: scratch["other/run"], withIntermediateDirectories: true)
    try scratch.write(Array("theirs".utf8), to: "other/run/file")
    #expect(throws: RunError.self) { try late.write(result) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch["other"]) == ["run"])
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: scratch["other/run"]) == ["file"])
  }

  // MARK: Memory

  @Test func peaksNeverFall() {
    let meter = MemoryMeter()
    var peaks: [(Int, Int)] = [(meter.peakResidentBytes, meter.peakPrivateBytes)]
    for _ in 0..<5 {
      // Touched, so that it is resident; gone at the end of each round.
      let block = [UInt8](repeating: 1, count: 32 << 20)
      meter.sample()
      #expect(block[block.count / 2] == 1)
      peaks.append((meter.peakResidentBytes, meter.peakPrivateBytes))
    }
    meter.stop()
    for (a, b) in zip(peaks, peaks.dropFirst()) { #expect(a.0 <= b.0 && a.1 <= b.1) }
    #if os(Linux)
      #expect(peaks.last!.1 >= 32 << 20 && peaks.last!.0 >= peaks.last!.1)
    #endif
  }
}
