import Checkpoint
import Foundation
import TestSupport
import Testing

@testable import Analysis

/// Shards joined are the run that was divided.
struct RunMergeTests {
  private static let prompts: [PromptInput] = [
    .tokens([5, 3, 9]), .tokens([7]), .tokens([1, 2]), .tokens([8, 8, 8]), .tokens([4, 6]),
  ]

  @discardableResult
  private func run(
    _ path: String, _ prompts: [PromptInput] = prompts,
    _ change: (inout RunSettings) -> Void = { _ in }
  ) throws -> RunRecord {
    var settings = RunSettings(model: ModelFixture("llama").folder, name: "llama", threads: 1)
    (settings.top, settings.ranks, settings.saveHiddenStates) = (4, [2, 4], true)
    settings.output = path
    // One problem at a time, so that a value does not depend on the others in lockstep even in its last bit.
    settings.solver = .arpack
    change(&settings)
    let run = try AlignmentRun(settings, prompts: prompts)
    let folder = try RunFolder(path, for: try run.manifest())
    let result = try run.run(in: folder, meter: MemoryMeter())
    try folder.finish(result)
    return result.record
  }

  @Test func shardsAreTheWhole() throws {
    let scratch = try ScratchFolder()
    let whole = try run(scratch["whole"])
    for i in 1...3 {
      try run(scratch["part-\(i)"]) { $0.shard = Shard(index: i, count: 3) }
    }
    let parts = [2, 3, 1].map { scratch["part-\($0)"] }
    let merged = try RunMerge(parts).write(to: scratch["merged"])
    #expect(merged.settings.shard == nil && merged.complete)
    #expect(merged.prompts.map(\.tokenIds) == whole.prompts.map(\.tokenIds))
    // Products of up to 32 vectors do not depend on one another; those of the coupling pass are wider.
    for (a, b) in zip(merged.prompts, whole.prompts) {
      #expect(a.layers.map(\.singularValues) == b.layers.map(\.singularValues))
      for (x, y) in zip(a.coupling, b.coupling) {
        for (u, v) in zip(x.matrix.joined(), y.matrix.joined()) {
          #expect(abs((u ?? 0) - (v ?? 0)) <= 1e-6)
        }
      }
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: scratch["whole"]).sorted()
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: scratch["merged"]).sorted() == names)
    for file in names where file.hasSuffix(".safetensors") {
      let (a, b) = (
        try SafetensorsFile(scratch["merged/\(file)"]),
        try SafetensorsFile(scratch["whole/\(file)"])
      )
      #expect(a.tensors.map(\.name) == b.tensors.map(\.name))
      #expect(a.tensors.map(\.shape) == b.tensors.map(\.shape))
    }
    #expect(try StoredRun(scratch["merged"]).record.json() == merged.json())
    // A merged run is a run: the same command finds it done.
    var settings = whole.settings
    settings.output = scratch["merged"]
    let again = try AlignmentRun(settings, prompts: Self.prompts)
    #expect(try RunFolder(scratch["merged"], for: try again.manifest()).isComplete)
  }

  @Test func listsOfPromptsFollowOneAnother() throws {
    let scratch = try ScratchFolder()
    try run(scratch["a"], Array(Self.prompts[..<2]))
    try run(scratch["b"], Array(Self.prompts[2...]))
    let merged = try RunMerge([scratch["b"], scratch["a"]]).write(to: scratch["merged"])
    #expect(merged.prompts.map(\.tokenIds) == [[1, 2], [8, 8, 8], [4, 6], [5, 3, 9], [7]])
    let triplets = try SafetensorsFile(scratch["merged/triplets.safetensors"])
    let last = try SafetensorsFile(scratch["a/triplets.safetensors"])
    #expect(
      try triplets.tensor("p4.l2.V").numbers() == (try last.tensor("p1.l2.V").numbers()))
    #expect(throws: RunError.outputNotEmpty(path: scratch["merged"])) {
      try RunMerge([scratch["a"]]).write(to: scratch["merged"])
    }
  }

  @Test func whatDoesNotBelongTogetherIsRefused() throws {
    let scratch = try ScratchFolder()
    let prompts = Array(Self.prompts[..<2])
    try run(scratch["a"], prompts)
    try run(scratch["half-1"], prompts) { $0.shard = Shard(index: 1, count: 2) }
    try run(scratch["half-2"], prompts) { $0.shard = Shard(index: 2, count: 2) }
    try run(scratch["seed"], prompts) { $0.seed = 3 }
    func expectRefusal(_ runs: [String], _ word: String) throws {
      let error = #expect(throws: RunError.self) {
        try RunMerge(runs.map { scratch[$0] }).write(to: scratch["merged"])
      }
      #expect(error?.description.contains(word) == true, "\(String(describing: error))")
      #expect(!scratch.contents.contains("merged"))
    }
    try scratch.write(Array("kept".utf8), to: "file")
    #expect(throws: RunError.outputNotEmpty(path: scratch["file"])) {
      try RunMerge([scratch["a"]]).write(to: scratch["file"])
    }
    #expect(scratch.contents.contains("file"))
    try expectRefusal(["half-1"], "2/2")
    try expectRefusal(["half-1", "half-1"], "part 1 of 2")
    try expectRefusal(["half-1", "half-2", "a"], "no part of 2")
    try expectRefusal(["a", "seed"], "--seed is 0 there and 3 here")
    try expectRefusal(["a", "none"], "none")
    // Tensors of prompts that the record does not have.
    try SafetensorsWriter.write(
      [(.init(name: "p7.l1.U", shape: [1]), [1])], to: scratch["a/triplets.safetensors"])
    try expectRefusal(["a", "a"], "p7.l1.U")
  }
}
