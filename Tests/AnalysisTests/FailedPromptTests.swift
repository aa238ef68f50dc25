import Checkpoint
import Foundation
import TestSupport
import Testing

@testable import Analysis

/// A prompt that fails does not affect the others.
struct FailedPromptTests {
  /// All tokens but one of these are harmless.
  static let prompts = prompts(20)

  static func prompts(_ count: Int) -> [[Int]] { (0..<count).map { [$0 % 20, 7, 3, 20 + $0] } }

  /// A copy of the llama fixture with some other values.
  struct EditedModel {
    let scratch: ScratchFolder
    var folder: String { scratch["model"] }

    init(_ tensor: String, row: Int, _ value: Float) throws {
      try self.init { name, r, c in name == tensor && r == row ? value : nil }
    }

    /// `edit` gives the new values of a matrix at a row and column, or nil.
    init(_ edit: (_ tensor: String, _ row: Int, _ column: Int) -> Float?) throws {
      scratch = try ScratchFolder()
      try scratch.copy(ModelFixture("llama").folder, as: "model")
      let path = scratch["model/model.safetensors"]
      let file = try SafetensorsFile(path)
      var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      for info in file.tensors where info.shape.count == 2 {
        for i in 0..<info.shape[0] * info.shape[1] {
          guard let value = edit(info.name, i / info.shape[1], i % info.shape[1]) else { continue }
          let place = info.byteRange.lowerBound + 4 * i
          withUnsafeBytes(of: value) { bytes.replaceSubrange(place..<place + 4, with: $0) }
        }
      }
      try bytes.write(to: URL(fileURLWithPath: path))
    }
  }

  private func run(
    _ model: String, _ prompts: [[Int]], _ change: (inout RunSettings) -> Void = { _ in }
  ) throws -> AlignmentRun {
    var settings = RunSettings(model: model, name: "m", threads: 1)
    (settings.top, settings.ranks) = (4, [4])
    change(&settings)
    return try AlignmentRun(settings, prompts: prompts.map { .tokens($0) })
  }

  private func record(
    _ run: AlignmentRun, in path: String? = nil
  ) throws -> RunRecord {
    let folder = try path.map { try RunFolder($0, for: try run.manifest()) }
    let result = try run.run(in: folder, meter: MemoryMeter())
    guard let folder, let path else { return try result.record }
    try folder.finish(result)
    return try StoredRun(path).record
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let value: Float
    let layers: ClosedRange<Int>
    let tensor: String?
  }

  static let cases = [
    // The input of the first block is not finite.
    Case(
      testDescription: "embedding", value: .infinity, layers: 0...0,
      tensor: "model.embed_tokens.weight"),
    // The mean square of the state overflows where the norm's derivative is taken, at whichever block is first.
    Case(testDescription: "product", value: 1e38, layers: 1...3, tensor: nil),
  ]

  /// One bad token among 20 prompts in two groups: the 19 others have the same results as in a run without the fault, in which
  /// the row of the bad one is there but harmless. A prompt affects another's numbers only through the order of some sums, which
  /// may change when it drops out: the block solver's blocks are as wide as there is room.
  @Test(arguments: cases) func othersGoOn(_ fault: Case) throws {
    let model = try EditedModel("model.embed_tokens.weight", row: 25, fault.value)
    let healthy = try record(run(ModelFixture("llama").folder, Self.prompts))
    let scratch = try ScratchFolder()
    let record = try record(run(model.folder, Self.prompts), in: scratch["run"])
    #expect(record.complete && record.prompts.count == 20)
    let failure = try #require(record.failures.first)
    #expect(record.failures.count == 1 && record.prompts[5].failed == failure)
    #expect(failure.number == 6 && fault.layers.contains(failure.layer))
    #expect(failure.tensor == fault.tensor)
    #expect(failure.token == 3 && record.prompts[5].layers.isEmpty)
    for (p, prompt) in record.prompts.enumerated() where p != 5 {
      for (mine, theirs) in zip(prompt.layers, healthy.prompts[p].layers) {
        let bound = 1e-4 * theirs.singularValues[0]  // ten times the tolerance of either solve
        for (s, t) in zip(mine.singularValues, theirs.singularValues) {
          #expect(abs(s - t) < bound)
        }
      }
      #expect(prompt.coupling.count == healthy.prompts[p].coupling.count)
      #expect(prompt.trajectory.norms == healthy.prompts[p].trajectory.norms)
    }
    #expect(record.statistics.trajectory[0].value.count == 19)
    // Read again, and merged into other statistics, it is unchanged.
    let again = try StoredRun(scratch["run"]).record
    #expect(again.failures == record.failures && again.complete)
    let files = try SafetensorsFile(scratch["run/triplets.safetensors"])
    #expect(files.contains("p4.l1.U") && !files.contains("p5.l1.U") && files.contains("p19.l3.V"))
  }

  /// A run that is stopped after the failure resumes as if it had not been stopped.
  @Test func failuresAreKept() throws {
    let model = try EditedModel("model.embed_tokens.weight", row: 25, 1e38)
    let scratch = try ScratchFolder()
    let wanted = try record(run(model.folder, Self.prompts))
    let watch = StepWatch()
    _ = try run(model.folder, Self.prompts).run(progress: watch, meter: MemoryMeter())
    for limit in 1..<watch.steps {
      let path = scratch["\(limit)"]
      let first = try run(model.folder, Self.prompts)
      let folder = try RunFolder(path, for: try first.manifest())
      #expect(throws: RunError.interrupted(resume: path)) {
        try first.run(in: folder, progress: StepWatch(cancelAfter: limit), meter: MemoryMeter())
      }
      folder.release()
      let record = try record(run(model.folder, Self.prompts), in: path)
      #expect(record.failures == wanted.failures)
      for (a, b) in zip(record.prompts, wanted.prompts) {
        #expect(a.layers.map(\.singularValues) == b.layers.map(\.singularValues))
        #expect(a.coupling == b.coupling)
      }
    }
  }

  @Test func runsWithoutAnyPromptLeftFail() throws {
    let model = try EditedModel("model.layers.1.mlp.up_proj.weight", row: 2, .nan)
    let scratch = try ScratchFolder()
    let run = try run(model.folder, [[1, 2], [3]])
    let folder = try RunFolder(scratch["run"], for: try run.manifest())
    let error = #expect(throws: RunError.self) { try run.run(in: folder, meter: MemoryMeter()) }
    guard case .allFailed(let failures)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(failures.map(\.number) == [1, 2] && failures.allSatisfy { $0.layer == 2 })
    #expect(failures[0].tensor == "model.layers.1.mlp.up_proj.weight")
    #expect(scratch.contents.isEmpty)
  }

  // MARK: Some of a folder's prompts

  /// A finished folder answers for any of its prompts; an unfinished one resumes with the groups of the requested ones, and
  /// keeps what it had finished of others.
  @Test func someOfAFoldersPrompts() throws {
    let scratch = try ScratchFolder()
    let model = ModelFixture("llama").folder
    // Groups of 16, 16 and 4.
    let prompts = Self.prompts(36)
    let whole = try run(model, prompts)
    let wanted = try record(whole, in: scratch["whole"])
    let some = try run(model, [prompts[18], prompts[3]])
    #expect(try RunFolder(scratch["whole"], for: try some.manifest()).isComplete)
    let others = try run(model, [prompts[3], prompts[3]])
    let error = #expect(throws: RunError.self) {
      try RunFolder(scratch["whole"], for: try others.manifest())
    }
    #expect("\(error!)".contains("prompt 2"))

    // In another order they are the same prompts, and keep their places.
    let turned = try RunFolder(
      scratch["whole"], for: try run(model, prompts.reversed()).manifest())
    #expect(turned.isComplete && !turned.isOfTheseAlone)

    // The first group is finished, the second started, the third not started.
    let folder = try RunFolder(scratch["begun"], for: try whole.manifest())
    #expect(throws: RunError.interrupted(resume: scratch["begun"])) {
      try whole.run(in: folder, progress: StepWatch(cancelAfter: 7), meter: MemoryMeter())
    }
    folder.release()
    let last = try record(try run(model, [prompts[33]]), in: scratch["begun"])
    #expect(last.complete && last.prompts.count == 20)
    for (p, prompt) in last.prompts.enumerated() {
      let same = wanted.prompts[p < 16 ? p : 16 + p]
      #expect(prompt.tokenIds == same.tokenIds && prompt.coupling == same.coupling)
    }
    let files = try SafetensorsFile(scratch["begun/triplets.safetensors"])
    #expect(files.contains("p19.l3.U") && !files.contains("p20.l3.U"))
  }
}

/// Counts steps, and asks to stop after some of them.
final class StepWatch: RunProgress {
  private(set) var steps = 0
  private let limit: Int
  private let action: (Int) -> Void

  init(cancelAfter limit: Int = .max, action: @escaping (Int) -> Void = { _ in }) {
    (self.limit, self.action) = (limit, action)
  }

  func update(_ state: RunProgressState) {
    steps += 1
    action(steps)
  }

  var isCancelled: Bool { steps >= limit }
}
