import Files
import Checkpoint
import Foundation
import TestSupport
import Testing

@testable import Analysis

/// Changes to a run's files during the run cost only the work that may have been affected.
struct ResilienceTests {
  private static let prompts = [[5, 3, 9], [7]]

  private func run(_ model: String) throws -> AlignmentRun {
    var settings = RunSettings(model: model, name: "m", threads: 1)
    (settings.top, settings.ranks, settings.saveHiddenStates) = (4, [4], true)
    return try AlignmentRun(settings, prompts: Self.prompts.map { .tokens($0) })
  }

  private func folder(_ path: String, _ run: AlignmentRun) throws -> RunFolder {
    try RunFolder(path, for: try run.manifest())
  }

  /// Everything but times and memory, as one value.
  private func numbers(_ path: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: path)
    where name != "result.json" {
      files[name] = try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)"))
    }
    return files
  }

  private func undisturbed(_ path: String) throws -> [String: Data] {
    let run = try run(ModelFixture("llama").folder)
    let folder = try folder(path, run)
    try folder.finish(try run.run(in: folder, meter: MemoryMeter()))
    return try numbers(path)
  }

  /// Ways in which a model's file can change and be restored, each without changing its size.
  enum Change: CaseIterable {
    case truncatedForAWhile, regrown, touched

    func apply(_ path: String, _ bytes: Data) throws {
      switch self {
      case .truncatedForAWhile: #expect(truncate(path, 1000) == 0)
      case .regrown:
        #expect(truncate(path, 1000) == 0)
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.write(contentsOf: bytes)
        try file.close()
      case .touched:
        // The modification time is set back; the change time cannot be.
        var status = stat()
        #expect(stat(path, &status) == 0)
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.seek(toOffset: UInt64(bytes.count - 4))
        try file.write(contentsOf: Data([0, 0, 0, 0]))
        try file.close()
        var times = [status.st_atim, status.st_mtim]
        #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)
      }
    }
  }

  /// Wherever it happens, there is an error, earlier finished work is kept, and with the file restored the same run ends as if
  /// nothing had happened.
  @Test(arguments: Change.allCases) func modelsThatChange(_ change: Change) throws {
    let scratch = try ScratchFolder()
    let wanted = try undisturbed(scratch["whole"])
    let watch = StepWatch()
    _ = try run(ModelFixture("llama").folder).run(progress: watch, meter: MemoryMeter())
    for step in 1..<watch.steps {
      try scratch.copy(ModelFixture("llama").folder, as: "model-\(step)")
      let path = scratch["model-\(step)/model.safetensors"]
      let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      let (name, run) = (scratch["run-\(step)"], try run(scratch["model-\(step)"]))
      let first = try folder(name, run)
      let disturb = StepWatch { if $0 == step { try? change.apply(path, bytes) } }
      #expect(throws: FileError.changedWhileMapped(file: path)) {
        try run.run(in: first, progress: disturb, meter: MemoryMeter())
      }
      first.abandon()
      first.release()
      let kept = try FileManager.default.contentsOfDirectory(atPath: "\(name)/partial")
      #expect(kept.count { $0.hasPrefix("g") } >= min(step, 1), "\(kept)")
      try bytes.write(to: URL(fileURLWithPath: path))
      let again = try self.run(scratch["model-\(step)"])
      let second = try folder(name, again)
      try second.finish(try again.run(in: second, meter: MemoryMeter()))
      #expect(try numbers(name) == wanted, "\(change) after step \(step)")
    }
  }

  /// A unit that disappears during the run is computed again, or causes an error that keeps the rest; there is never a result
  /// without it.
  @Test func unitsThatVanish() throws {
    let scratch = try ScratchFolder()
    let wanted = try undisturbed(scratch["whole"])
    let units =
      (1...3).flatMap { ["g0.l\($0).triplets", "g0.l\($0).coupling"] }
      + ["g0.paths", "g0.states"]
    let model = ModelFixture("llama").folder
    for unit in units {
      let (name, run) = (scratch[unit], try run(model))
      let first = try folder(name, run)
      let watch = StepWatch { _ in unlink("\(name)/partial/\(unit).safetensors") }
      do {
        let result = try run.run(in: first, progress: watch, meter: MemoryMeter())
        unlink("\(name)/partial/\(unit).safetensors")
        let error = #expect(throws: RunError.self) { try first.finish(result) }
        guard case .lostUnit? = error else {
          Issue.record("\(String(describing: error))")
          return
        }
      } catch RunError.lostUnit {}
      first.abandon()
      first.release()
      let again = try self.run(model)
      let second = try folder(name, again)
      #expect(!second.isComplete && second.keepsWork)
      try second.finish(try again.run(in: second, meter: MemoryMeter()))
      #expect(try numbers(name) == wanted, "\(unit)")
    }
  }

  /// A unit that temporarily cannot be read is neither computed again nor taken for missing.
  @Test func unitsThatCannotBeRead() throws {
    let scratch = try ScratchFolder()
    let (name, run) = (scratch["run"], try run(ModelFixture("llama").folder))
    let first = try folder(name, run)
    #expect(throws: RunError.interrupted(resume: name)) {
      try run.run(in: first, progress: StepWatch(cancelAfter: 2), meter: MemoryMeter())
    }
    first.release()
    // A folder in a file's place cannot be read by anyone, root included.
    let unit = "\(name)/partial/g0.l1.triplets.safetensors"
    try FileManager.default.moveItem(atPath: unit, toPath: scratch["aside"])
    try FileManager.default.createDirectory(atPath: unit, withIntermediateDirectories: false)
    let second = try folder(name, run)
    let error = #expect(throws: RunError.self) { try run.run(in: second, meter: MemoryMeter()) }
    guard case .cannotRead(let path, _)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(path == unit)
    second.release()
    try FileManager.default.removeItem(atPath: unit)
    try FileManager.default.moveItem(atPath: scratch["aside"], toPath: unit)
    let third = try folder(name, run)
    try third.finish(try run.run(in: third, meter: MemoryMeter()))
    #expect(try numbers(name) == undisturbed(scratch["whole"]))
  }

  /// A run that was killed while it removed its partial results is finished, and the remains are removed.
  @Test func leftoversOfClearing() throws {
    let scratch = try ScratchFolder()
    let wanted = try undisturbed(scratch["run"])
    try scratch.makeFolder("run/partial")
    try scratch.write([1, 2], to: "run/partial/g0.paths.safetensors")
    let folder = try folder(scratch["run"], run(ModelFixture("llama").folder))
    #expect(folder.isComplete)
    #expect(try numbers(scratch["run"]) == wanted)
  }

  /// A record marked as not complete is not taken for a finished run.
  @Test func recordsThatAreNotComplete() throws {
    let scratch = try ScratchFolder()
    let wanted = try undisturbed(scratch["run"])
    var record = try StoredRun(scratch["run"]).record
    record.complete = false
    try record.json().write(to: URL(fileURLWithPath: scratch["run/result.json"]))
    try scratch.makeFolder("run/partial")
    let run = try run(ModelFixture("llama").folder)
    try run.manifest().json().write(
      to: URL(fileURLWithPath: scratch["run/partial/manifest.json"]))
    let folder = try folder(scratch["run"], run)
    #expect(!folder.isComplete)
    try folder.finish(try run.run(in: folder, meter: MemoryMeter()))
    #expect(try numbers(scratch["run"]) == wanted)
  }

  /// Of several processes at one folder, one does the work and the others wait or find it done, whenever they start.
  @Test func manyAtOneFolder() async throws {
    let scratch = try ScratchFolder()
    let wanted = try undisturbed(scratch["whole"])
    let name = scratch["run"]
    let finished = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<4 {
        group.addTask {
          while true {
            do {
              let run = try self.run(ModelFixture("llama").folder)
              let folder = try self.folder(name, run)
              guard !folder.isComplete else { return 0 }
              try folder.finish(try run.run(in: folder, meter: MemoryMeter()))
              return 1
            } catch RunError.inUse {
              await Task.yield()
            }
          }
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(finished == 1)
    #expect(try numbers(name) == wanted)
  }
}
