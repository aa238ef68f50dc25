import Checkpoint
import Foundation
import TestSupport
import Testing

@testable import Analysis

/// Joined shards equal the undivided run.
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
    // One Jacobian at a time, so that a value does not depend on the others of its batch even in its last bit.
    settings.solver = .arpack
    change(&settings)
    let run = try AlignmentRun(settings, prompts: prompts)
    let folder = try RunFolder(path, for: try run.manifest())
    try folder.finish(try run.run(in: folder, meter: MemoryMeter()))
    return try StoredRun(path).record
  }

  @Test func shardsAreTheWhole() throws {
    let scratch = try ScratchFolder()
    let whole = try run(scratch["whole"])
    for i in 1...3 {
      try run(scratch["part-\(i)"]) { $0.shard = Shard(index: i, count: 3) }
    }
    let parts = [2, 3, 1].map { scratch["part-\($0)"] }
    let written = try RunMerge(parts).write(to: scratch["merged"])
    let merged = try StoredRun(scratch["merged"]).record
    #expect(written.prompts.map(\.tokenIds) == whole.prompts.map(\.tokenIds))
    #expect(merged.settings.shard == nil && merged.complete)
    #expect(merged.prompts.map(\.tokenIds) == whole.prompts.map(\.tokenIds))
    // Products of up to `Engine.independentVectors` do not depend on one another; those of the coupling pass are wider.
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
    // Statistics accumulated prompt by prompt equal those of all prompts together.
    let statistics = StudyStatistics(merged.prompts, diagonal: merged.settings.diagonal)
    #expect(try recordJSON(merged.statistics) == recordJSON(statistics))
    #expect(try recordJSON(written.statistics) == recordJSON(statistics))
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
    try expectRefusal(["half-1", "half-2", "a"], "not one of 2 parts")
    try expectRefusal(["a", "seed"], "`seed` is 0 there and 3 here")
    try expectRefusal(["a", "none"], "none")
    // A run with itself, and with another run that has one of its prompts, whatever the text.
    try run(scratch["b"], [.tokens([9, 9]), .tokens([7])])
    try run(scratch["c"], [.tokens([9, 1]), .tokens([9, 1])])
    try expectRefusal(["a", "a"], "give it once")
    try expectRefusal(["a", "c", "./a"], "give it once")
    try expectRefusal(
      ["a", "b"], "prompt 2 (token ids 7) is, to the token, prompt 2 of \(scratch["a"])")
    // A prompt that is twice in one list is allowed.
    #expect(try RunMerge([scratch["b"], scratch["c"]]).write(to: scratch["bc"]).prompts.count == 4)
    // Every part that cannot be read is named, and so are missing arrays.
    try expectRefusal(["none", "a", "nowhere"], "nowhere")
    try FileManager.default.removeItem(atPath: scratch["c/triplets.safetensors"])
    try expectRefusal(["b", "c"], "triplets.safetensors is missing")
    // Tensors of prompts that the record does not have.
    try SafetensorsWriter.write(
      [(.init(name: "p7.l1.U", shape: [1]), [1])], to: scratch["a/triplets.safetensors"])
    try run(scratch["d"], [.tokens([3, 9])])
    try expectRefusal(["a", "d"], "p7.l1.U")
  }

  /// Parts fit together by number only if they are of one list.
  @Test func partsOfOtherListsAreRefused() throws {
    let scratch = try ScratchFolder()
    @discardableResult
    func part(_ name: String, _ list: [PromptInput], _ i: Int) throws -> RunRecord {
      try run(scratch[name], list) { $0.shard = Shard(index: i, count: 2) }
    }
    let four = Array(Self.prompts[..<4])
    let whole = PromptList(try run(scratch["four"], four).prompts)
    #expect(try part("1", four, 1).promptList == whole)
    try part("2", four, 2)
    try part("2 of three", Array(four[..<3]), 2)
    try part("2 of others", [four[0], four[1], .tokens([1]), .tokens([2])], 2)
    func refusal(_ parts: [String]) -> String {
      let error = #expect(throws: RunError.self) { try RunMerge(parts.map { scratch[$0] }) }
      return error?.description ?? ""
    }
    #expect(refusal(["1", "2 of three"]).contains("another list, of 3 prompts"))
    #expect(refusal(["2 of others", "1"]).contains("another list, of 4 prompts"))
    #expect(
      try RunMerge(["2", "1"].map { scratch[$0] }).write(to: scratch["whole"]).promptList == nil)
    // The same part of another list is another run, and a prompt that is twice in one list is allowed.
    #expect(throws: RunError.self) { try part("1", Array(four[..<2]) + [.tokens([1])], 1) }
    #expect(throws: RunError.self) { try part("1", four.dropLast() + [.tokens([1])], 1) }
    try part("1 of twins", [four[0], four[0]], 1)
    try part("2 of twins", [four[0], four[0]], 2)
    let twins = try RunMerge(["1", "2"].map { scratch["\($0) of twins"] }).write(
      to: scratch["twins"])
    #expect(twins.prompts.count == 2 && twins.statistics.distinctPrompts == 1)
    // Earlier versions recorded no list: a prompt in two parts, or parts of the wrong sizes, reveal different lists.
    func forget(_ name: String) throws {
      var record = try StoredRun(scratch[name]).record
      record.promptList = nil
      let json = try JSONSerialization.jsonObject(with: record.json()) as? [String: Any]
      let old = json?.filter { $0.key != "prompt_list" } ?? [:]
      try scratch.write(
        Array(try JSONSerialization.data(withJSONObject: old)), to: "\(name)/result.json")
    }
    #expect(refusal(["1", "2 of three"]).contains("another list"))
    for name in ["1", "2", "2 of three"] { try forget(name) }
    // 7 and 1 2 against 5 3 9 and 7.
    #expect(
      refusal(["1", "2 of three"]).contains("prompt 1 (token ids 7) is, to the token, prompt 2"))
    let old = try RunMerge(["2", "1"].map { scratch[$0] }).write(to: scratch["old"])
    #expect(old.prompts.map(\.tokenIds) == [[5, 3, 9], [7], [1, 2], [8, 8, 8]])
    try run(scratch["long"], Self.prompts + [.tokens([1]), .tokens([2])]) {
      $0.shard = Shard(index: 2, count: 2)
    }
    try forget("long")
    #expect(refusal(["1", "long"]).contains("give every part the same list"))
  }

  /// A prompt without results is kept as such, under its number in the whole list, and the means are those of the others.
  @Test func failedPromptsStayFailed() throws {
    let scratch = try ScratchFolder()
    try run(scratch["a"], Array(Self.prompts[..<2]))
    try run(scratch["b"], Array(Self.prompts[2...]))
    var record = try StoredRun(scratch["b"]).record
    record.prompts[1].failed = PromptFailure(number: 2, layer: 2, token: 0, reason: "not finite")
    (record.prompts[1].layers, record.prompts[1].coupling) = ([], [])
    try scratch.write(Array(record.json()), to: "b/result.json")
    // As in a run with such a prompt, there are no arrays of it.
    let file = try SafetensorsFile(scratch["b/triplets.safetensors"])
    try SafetensorsWriter.write(
      try file.tensors.filter { !$0.name.hasPrefix("p1.") }.map {
        (.init(name: $0.name, shape: $0.shape), try file.tensor($0.name).numbers())
      }, to: scratch["b/left.safetensors"])
    try FileManager.default.removeItem(atPath: scratch["b/triplets.safetensors"])
    try FileManager.default.moveItem(
      atPath: scratch["b/left.safetensors"], toPath: scratch["b/triplets.safetensors"])
    let merged = try RunMerge([scratch["a"], scratch["b"]]).write(to: scratch["merged"])
    #expect(merged.prompts.map { $0.failed?.number } == [nil, nil, nil, 4, nil])
    #expect(merged.statistics.distinctPrompts == 4)
    for statistic in merged.statistics.trajectory {
      #expect(statistic.value.perPrompt[3] == nil && statistic.value.count <= 4)
    }
    let triplets = try SafetensorsFile(scratch["merged/triplets.safetensors"])
    #expect(!triplets.tensors.contains { $0.name.hasPrefix("p3.") })
    #expect(triplets.tensors.contains { $0.name == "p4.l1.U" })
  }
}
