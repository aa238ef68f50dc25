import Alignment
import Foundation
import TestSupport
import Testing

@testable import Analysis

/// Statistics over prompts count each different prompt once.
struct StudyStatisticsTests {
  private func record(_ prompts: [PromptInput]) throws -> RunRecord {
    var settings = RunSettings(model: ModelFixture("llama").folder, name: "llama", threads: 1)
    (settings.top, settings.ranks) = (4, [4])
    return try AlignmentRun(settings, prompts: prompts).run(meter: MemoryMeter()).record
  }

  /// The same prompt three times is one observation, without an error and without an interval of width 0.
  @Test func aRepeatedPromptIsOneObservation() throws {
    let record = try record(Array(repeating: .tokens([5, 3, 9]), count: 3))
    #expect(record.statistics.distinctPrompts == 1)
    let values =
      record.statistics.coupling.map(\.value) + record.statistics.trajectory.map(\.value)
    for value in values where value.mean != nil {
      #expect(value.perPrompt.count == 3 && value.count == 1)
      #expect(value.standardError == nil && value.interval == nil)
    }
  }

  /// Copies change nothing: mean, error, interval and null level are those of the different prompts.
  @Test func copiesAddNothing() throws {
    let (a, b, c) = (
      PromptInput.tokens([5, 3, 9]), PromptInput.tokens([7, 1]), PromptInput.tokens([1, 2])
    )
    let record = try record([a, b, a, c, a, b])
    let distinct = [0, 1, 3].map { record.prompts[$0] }
    let alone = StudyStatistics(distinct, diagonal: .excluded)
    #expect(record.statistics.distinctPrompts == 3 && alone.distinctPrompts == 3)
    for (s, t) in zip(record.statistics.coupling, alone.coupling) {
      #expect(s.value.mean == t.value.mean && s.value.interval == t.value.interval)
      #expect(s.value.standardError == t.value.standardError && s.null == t.null)
    }
    for (s, t) in zip(record.statistics.trajectory, alone.trajectory) {
      #expect(s.value.mean == t.value.mean && s.value.interval == t.value.interval)
    }
  }

  /// A record of a version that counted copies is read without them.
  @Test func earlierRecordsAreCountedAnew() throws {
    let scratch = try ScratchFolder()
    var record = try record([.tokens([5, 3, 9]), .tokens([7, 1]), .tokens([7, 1])])
    let statistics = record.statistics
    record.statistics.distinctPrompts = nil
    record.statistics.coupling = record.statistics.coupling.map {
      CouplingStatistic(
        kind: $0.kind, setting: $0.setting, diagonal: $0.diagonal,
        value: PromptMean($0.value.perPrompt), null: $0.null)
    }
    #expect(record.statistics.coupling[0].value.count == 3)
    try FileManager.default.createDirectory(
      atPath: scratch["run"], withIntermediateDirectories: true)
    try scratch.write(Array(record.json()), to: "run/result.json")
    let read = try StoredRun(scratch["run"]).record
    #expect(try recordJSON(read.statistics) == recordJSON(statistics))
  }

  @Test func failedPromptsAreLeftOut() throws {
    var prompts = try record([.tokens([5, 3, 9]), .tokens([7, 1]), .tokens([1, 2])]).prompts
    prompts[1].failed = PromptFailure(number: 2, layer: 0, reason: "not finite")
    prompts[1].coupling = []
    let statistics = StudyStatistics(prompts, diagonal: .excluded)
    let alone = StudyStatistics([prompts[0], prompts[2]], diagonal: .excluded)
    #expect(statistics.distinctPrompts == 2)
    for (s, t) in zip(statistics.trajectory, alone.trajectory) {
      #expect(s.value.perPrompt[1] == nil && s.value.mean == t.value.mean)
    }
    for (s, t) in zip(statistics.coupling, alone.coupling) {
      #expect(s.value.mean == t.value.mean && s.null == t.null)
    }
  }

  /// Bounds are of the coupling's means alone, b̄ of the different prompts, and whatever the true numbers are within them, their
  /// interval is inside the recorded one. They survive being written and read; without them the interval is computed again.
  @Test func boundsWidenIntervals() throws {
    let record = try record([.tokens([5, 3, 9]), .tokens([7, 1]), .tokens([5, 3, 9])])
    for value in record.statistics.trajectory.map(\.value) {
      #expect(value.bound == nil && value.perPromptBound == nil)
    }
    for statistic in record.statistics.coupling {
      let value = statistic.value
      let bounds = record.prompts.map { prompt in
        prompt.coupling.filter { $0.setting == statistic.setting }
          .meanBound(diagonal: statistic.diagonal)
      }
      #expect(value.perPromptBound == bounds)
      let first = try #require(bounds[0])
      let second = try #require(bounds[1])
      #expect(value.bound == (first + second) / 2)
    }
    let values: [Double?] = [0.3, 0.1, 0.25, nil]
    let bounds: [Double?] = [0.02, 0.01, 0.005, nil]
    let mean = PromptMean(values, bounds: bounds)
    let widened = try #require(mean.interval)
    #expect(mean.perPromptBound == bounds)
    for signs in 0..<8 {
      var moved: [Double] = []
      for (p, (value, bound)) in zip(values, bounds).enumerated() {
        guard let value, let bound else { continue }
        moved.append(signs >> p & 1 == 0 ? value + bound : value - bound)
      }
      let interval = try #require(MeanInterval(moved))
      #expect(widened.lower <= interval.lower && interval.upper <= widened.upper)
    }
    let read = try JSONDecoder().decode(PromptMean.self, from: JSONEncoder().encode(mean))
    #expect(read.interval == mean.interval && read.bound == mean.bound)
    // With one unknown bound the mean has no bound.
    let open = PromptMean(values, bounds: [0.02, nil, 0.005, nil])
    #expect(open.bound == nil && open.interval == PromptMean(values).interval)
    let old = #"{"per_prompt": [1, 3], "count": 2, "mean": 2, "standard_error": 1}"#
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let earlier = try decoder.decode(PromptMean.self, from: Data(old.utf8))
    #expect(earlier.bound == nil && earlier.interval == MeanInterval([1, 3]))
  }
}
