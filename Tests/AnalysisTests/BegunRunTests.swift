import Foundation
import TestSupport
import Testing

@testable import Analysis

/// What is known about unfinished runs.
struct BegunRunTests {
  private static let prompts: [PromptInput] = [
    .tokens([1, 5, 7, 3]), .tokens([2, 5, 7]), .tokens([9, 8, 4]),
  ]
  private static var settings: ModelSettings {
    ModelSettings(model: ModelFixture("llama").folder, name: "m", threads: 1)
  }

  /// Runs into a folder of this name until a number of units are done.
  private func stop(_ run: some FolderRun, after limit: Int, in path: String) throws {
    #expect(throws: RunError.interrupted(resume: path)) {
      let folder = try ResultFolder(path, for: run.manifest(progress: nil))
      _ = try run.run(
        in: folder, as: .alone, progress: UnitLimit(limit), meter: MemoryMeter())
    }
  }

  private func finish<Run: FolderRun>(_ run: Run, in path: String) throws -> Run.Record {
    let folder = try ResultFolder(path, for: run.manifest(progress: nil))
    return try #require(
      try run.run(in: folder, as: .alone, progress: nil, meter: MemoryMeter()))
  }

  @Test func triplets() throws {
    let scratch = try ScratchFolder()
    let path = scratch["run"]
    var settings = MapSettings(Self.settings)
    (settings.solution.top, settings.readOut) = (3, 2)
    let run = try MapRun(settings, prompts: Self.prompts)
    try stop(run, after: 2, in: path)
    #expect(RunKind(path) == .triplets)
    #expect(throws: RunError.self) { try MapRunRecord(folder: path) }
    let begun = try #require(try MapRunRecord.begun(in: path))
    #expect(!begun.head.complete && begun.maps.map(\.prompt) == [0, 1])
    let whole = try finish(run, in: path)
    for (_, map) in begun.maps { #expect(map.readOut == nil) }
    #expect(begun.maps.map(\.map.singularValues) == whole.maps.prefix(2).map(\.map.singularValues))
    #expect(whole.maps.allSatisfy { $0.map.readOut != nil })
    #expect(try MapRunRecord.begun(in: path) == nil)
  }

  @Test func eigenvalues() throws {
    let scratch = try ScratchFolder()
    let path = scratch["run"]
    var settings = EigenSettings(Self.settings)
    (settings.numeric.top, settings.numeric.layers) = (3, [2])
    let run = try EigenRun(settings, prompts: Self.prompts)
    try stop(run, after: 2, in: path)
    #expect(RunKind(path) == .eigen)
    let begun = try #require(try EigenRecord.begun(in: path))
    #expect(!begun.head.complete)
    let whole = try finish(run, in: path)
    let known = begun.prompts.filter(\.isFinished)
    #expect(begun.prompts.count == 3 && known.count == 1)
    #expect(known[0].spectra[0].eigenvalues == whole.prompts[0].spectra[0].eigenvalues)
    #expect(whole.prompts.allSatisfy { $0.isFinished })
    #expect(try EigenRecord.begun(in: path) == nil)
  }

  /// The lens of the finished prompts equals the one fitted on them alone, since the basis of both is the whole space.
  @Test func lens() throws {
    let scratch = try ScratchFolder()
    let path = scratch["run"]
    var settings = LensSettings(Self.settings)
    (settings.fit.dense, settings.fit.rank) = (true, 4)
    let run = try LensRun(settings, prompts: Self.prompts)
    // A prompt takes 24 vectors, the width; the third prompt has been started.
    try stop(run, after: 60, in: path)
    #expect(RunKind(path) == .lens)
    let begun = try #require(try LensRecord.begun(in: path))
    #expect(!begun.complete && begun.prompts.count == 2 && begun.wantedPrompts == 3)
    let first = try finish(
      LensRun(settings, prompts: Array(Self.prompts.prefix(2))), in: scratch["first"])
    #expect(begun.positions == first.positions)
    #expect(begun.layers.map(\.singularValues) == first.layers.map(\.singularValues))
    #expect(begun.layers.map(\.frobeniusNorm) == first.layers.map(\.frobeniusNorm))
    #expect(try finish(run, in: path).complete)
    #expect(try LensRecord.begun(in: path) == nil)
  }
}

/// Asks to stop once a number of units are done.
final class UnitLimit: RunProgress {
  private let limit: Int
  private var done = 0
  init(_ limit: Int) { self.limit = limit }
  var isCancelled: Bool { done >= limit }
  func update(_ state: RunProgressState) { done = state.completed }
}
