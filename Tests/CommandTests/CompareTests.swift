import Alignment
import Foundation
import TestSupport
import Testing

@testable import Analysis

/// `krylens compare` of two runs.
struct CompareTests {
  private func quantity(_ comparison: [String: Any], _ name: String) throws -> [String: Any] {
    try #require(comparison.objects("quantities").first { $0["name"] as? String == name })
  }

  @Test func aRunIsLikeItself() throws {
    let runs = try MadeRuns()
    try runs.add("a")
    let comparison = try runs.json(["compare", "a", "a"])
    #expect(comparison.objects("differences").isEmpty && comparison["notes"] as? [String] == [])
    #expect(comparison.number("common_prompts") == 3)
    let names = comparison.objects("quantities").compactMap { $0["name"] as? String }
    for name in [
      "coupling, depth, rank 2", "coupling, depth, rank 4", "line-shape-score, last",
      "growth, others", "expodistance, first", "linearised-path-cosine, selected", "mean σ₁",
    ] { #expect(names.contains(name), "\(name)") }
    for quantity in comparison.objects("quantities") {
      #expect(quantity.number("difference") == 0 && quantity.number("paired", "p_value") == 1)
      #expect(quantity["standing"] as? String == "together")
    }
    #expect(comparison.objects("blocks").map { $0.number("layer") } == [1, 2, 3])
    for block in comparison.objects("blocks") {
      #expect(block.number("singular_values") == 0 && block.number("coupling") == 0)
    }
    let printed = try runs.run(["compare", "a", "a"])
    #expect(printed.status == 0 && printed.output.contains("model and settings are the same"))
    #expect(printed.output.contains("A and B are the same folder: all differences are zero"))
    #expect(!printed.output.contains("apart"))
    #expect(comparison["likeness"] as? String == "same-folder")
    try runs.add("copy") { $0.seconds.total += 1 }
    let copies = try runs.json(["compare", "a", "copy"])
    #expect(copies["likeness"] as? String == "same-numbers")
    #expect(try runs.run(["compare", "a", "copy"]).output.contains("all differences are zero"))
  }

  /// The record of a stopped run: fewer prompts, only the lower blocks of the last one, and no coupling.
  private func interrupted(_ record: inout RunRecord) {
    record.complete = false
    record.prompts.removeLast()
    record.prompts[1].layers.removeAll { $0.layer > 1 }
    record.prompts[1].coupling = []
    record.prompts[1].trajectory.linearisedPathCosine = nil
    record.statistics = StudyStatistics(record.prompts, diagonal: record.settings.diagonal)
  }

  @Test func aRunIsLikeItsInterruptedCopy() throws {
    let runs = try MadeRuns()
    try runs.add("a")
    try runs.add("b", interrupted)
    for pair in [["a", "b"], ["b", "a"]] {
      let comparison = try runs.json(["compare"] + pair)
      #expect(comparison.number("common_prompts") == 2)
      #expect(comparison["likeness"] as? String == "same-numbers")
      for quantity in comparison.objects("quantities") {
        #expect(quantity.number("difference") == 0, "\(quantity["name"] ?? "")")
        #expect(quantity["standing"] as? String != "apart")
      }
      // Over what both hold: σ₁ over all blocks of the first prompt, and over block 1 of the second.
      let base = try MadeRuns.base.get().prompts
      let leading = base.map { $0.layers.map { $0.singularValues[0] } }
      let mean = (leading[0].reduce(0, +) / 3 + leading[1][0]) / 2
      let shown = try #require(try quantity(comparison, "mean σ₁").number("second", "mean"))
      #expect(abs(shown - mean) <= 1e-14 * mean)
      let notes = (comparison["notes"] as? [String] ?? []).joined(separator: "\n")
      #expect(notes.contains("over the 2 prompts that both have, of"))
      #expect(notes.contains("4 are in both"), "\(notes)")
      #expect(!(try runs.run(["compare"] + pair).output.contains("apart")))
    }
  }

  /// Means over different blocks do not count as a difference between the runs.
  @Test func blocksOfOneRunAreNotCompared() throws {
    let runs = try MadeRuns()
    try runs.add("a")
    try runs.add("b") {
      $0.settings.layers = [1, 2]
      for p in $0.prompts.indices {
        $0.prompts[p].layers.removeAll { $0.layer == 3 }
        $0.prompts[p].coupling = $0.prompts[p].coupling.map {
          $0.restricted(rows: { $0 < 3 }, columns: { $0 < 3 })
        }
      }
    }
    let layers = try runs.json(["compare", "a", "b"])
    #expect(try quantity(layers, "mean σ₁").number("difference") == 0)
    #expect(try quantity(layers, "coupling, depth, rank 4").number("difference") == 0)
    #expect(
      (layers["notes"] as? [String])?.contains { $0.contains("over the 2 that both have") } == true)
    // The last block is another function, and the prompts have other tokens.
    try runs.add("normed") {
      $0.settings.last = .normed
      for p in $0.prompts.indices { $0.prompts[p].layers[2].singularValues[0] *= 100 }
    }
    let last = try runs.json(["compare", "a", "normed"])
    #expect(try quantity(last, "mean σ₁").number("difference") == 0)
    #expect(last.objects("blocks").map { $0.number("layer") } == [1, 2])
    #expect(
      try quantity(last, "linearised-path-cosine, selected")["standing"] as? String == "unknown")
    try runs.add("tokens") {
      for p in $0.prompts.indices {
        for l in $0.prompts[p].layers.indices { $0.prompts[p].layers[l].toToken = 0 }
      }
    }
    let tokens = try runs.json(["compare", "a", "tokens"])
    #expect(!tokens.objects("quantities").contains { $0["name"] as? String == "mean σ₁" })
  }

  /// Numbers of different functions, or of models of different depths, are shown but not tested.
  @Test func otherQuantitiesAreNotJudged() throws {
    let runs = try MadeRuns()
    try runs.add("a") { try $0.setCoupling([0.1, 0.2, 0.3]) }
    for (name, word, change) in [
      ("site", "different sites", { $0.settings.site = .mlp }),
      ("depth", "different numbers of blocks", { $0.model.layers = 12 }),
      (
        "prompts", "different prompts",
        { for p in $0.prompts.indices { $0.prompts[p].tokenIds = [p] } }
      ),
    ] as [(String, String, (inout RunRecord) -> Void)] {
      try runs.add(name) {
        try $0.setCoupling([0.71, 0.79, 0.9])
        change(&$0)
      }
      let coupling = try quantity(
        try runs.json(["compare", "a", name]), "coupling, depth, rank 4")
      #expect(coupling["standing"] as? String == "unknown" && coupling["paired"] is NSNull)
      #expect((coupling["unjudged"] as? String)?.contains(word) == true, "\(name)")
      #expect(coupling.number("difference")! > 0.5)
      let printed = try runs.run(["compare", "a", name])
      #expect(
        printed.unwrapped.contains("not judged, as") && !printed.output.contains("stand apart"))
    }
  }

  /// The same prompt three times is one observation, and one observation has no interval.
  @Test func repeatedPromptsCountOnce() throws {
    let runs = try MadeRuns()
    for name in ["a", "b"] {
      try runs.add(name) {
        $0.prompts = Array(repeating: $0.prompts[0], count: 3)
        try $0.setCoupling(name == "a" ? [0.1, 0.1, 0.1] : [0.2, 0.2, 0.2])
      }
    }
    let comparison = try runs.json(["compare", "a", "b"])
    #expect(comparison.number("common_prompts") == 1)
    let coupling = try quantity(comparison, "coupling, depth, rank 4")
    #expect(coupling["standing"] as? String == "unknown" && coupling["paired"] is NSNull)
    let notes = (comparison["notes"] as? [String] ?? []).joined()
    #expect(notes.contains("2 of the 3 prompts of the second run repeat another one"))
  }

  @Test func failedPromptsAreLeftOut() throws {
    let runs = try MadeRuns()
    try runs.add("a") { try $0.setCoupling([0.1, 0.2, 0.4]) }
    try runs.add("b") {
      try $0.setCoupling([0.2, 0.3, 0.9])
      $0.prompts[2].failed = PromptFailure(number: 3, layer: 2, reason: "not finite")
    }
    let comparison = try runs.json(["compare", "a", "b"])
    #expect(comparison.number("common_prompts") == 2)
    let first = try quantity(comparison, "coupling, depth, rank 4").number("first", "mean")
    #expect(abs(try #require(first) - 0.15) < 1e-15)
    let notes = (comparison["notes"] as? [String] ?? []).joined()
    #expect(notes.contains("1 of the 3 prompts of the second run failed"))
  }

  @Test func numbersThatStandApart() throws {
    let runs = try MadeRuns()
    try runs.add("a") { try $0.setCoupling([0.1, 0.2, 0.3]) }
    try runs.add("b", model: "other") {
      try $0.setCoupling([0.71, 0.79, 0.9])
      ($0.settings.last, $0.settings.seed) = (.normed, 7)
    }
    let comparison = try runs.json(["compare", "a", "b"])
    let differences = comparison.objects("differences").map {
      "\($0["key"]!): \(($0["values"] as? [String] ?? []).joined(separator: " "))"
    }
    #expect(differences == ["model.name: llama other", "last: residual normed", "seed: 0 7"])
    let coupling = try quantity(comparison, "coupling, depth, rank 4")
    let expected = try #require(
      PairedDifference(from: [0.1, 0.2, 0.3], to: [0.71, 0.79, 0.9]))
    #expect(coupling["standing"] as? String == "apart")
    // A mean of equal entries is off by an ulp or two, 1e-16, which is 1e-14 of the differences' deviation, 0.01, and twice
    // that in p, as t⁻² is with 2 degrees of freedom.
    for (key, value) in [("mean", expected.mean), ("p_value", expected.pValue)] {
      #expect(abs(try #require(coupling.number("paired", key)) - value) <= 1e-13 * value)
    }
    #expect(coupling.number("first_null") != nil && coupling.number("second_null") != nil)
    let output = try runs.run(["compare", "a", "b"]).output
    #expect(
      output.contains("coupling, depth, rank 4: B is higher by 0.6; the two stand apart (3 pairs"))
    #expect(
      output.contains("prompts in common: 3")
        && output.split(separator: "\n").allSatisfy { $0.count <= 80 })
    #expect(try runs.run(["compare", "b", "a"]).output.contains("B is lower by 0.6"))
  }

  @Test func promptsAreMatchedByTheirTokens() throws {
    let runs = try MadeRuns()
    try runs.add("a") { try $0.setCoupling([0.1, 0.2, 0.4]) }
    try runs.add("b") {
      $0.prompts.reverse()
      try $0.setCoupling([0.5, 0.3, 0.2])
    }
    let order = try quantity(try runs.json(["compare", "a", "b"]), "coupling, depth, rank 2")
    #expect(abs(try #require(order.number("paired", "mean")) - 0.1) < 1e-15)
    try runs.add("c") {
      $0.prompts.removeLast()
      $0.prompts[0].tokenIds = [5, 3, 9, 8]
      $0.complete = false
      try $0.setCoupling([0.5, 0.3])
    }
    let part = try runs.json(["compare", "a", "c"])
    #expect(part.number("common_prompts") == 1)
    #expect((part["notes"] as? [String])?.contains { $0.contains("over the 1 prompt ") } == true)
    #expect(try quantity(part, "coupling, depth, rank 2")["paired"] is NSNull)
    try runs.add("d") { for p in $0.prompts.indices { $0.prompts[p].tokenIds = [p] } }
    let none = try runs.run(["compare", "a", "d"])
    #expect(none.status == 0 && none.output.contains("no prompt has the same tokens in both"))
    #expect(try runs.json(["compare", "a", "d"]).objects("blocks").isEmpty)
    #expect(try runs.run(["compare", "a", "c"]).output.contains("unfinished"))
  }

  @Test func ofOnePromptNothingIsKnown() throws {
    let runs = try MadeRuns()
    try runs.add("a")
    try runs.add("b") {
      $0.prompts.removeLast(2)
      try $0.setCoupling([5])
    }
    let comparison = try runs.json(["compare", "a", "b"])
    let coupling = try quantity(comparison, "coupling, depth, rank 4")
    #expect(coupling["standing"] as? String == "unknown" && coupling["paired"] is NSNull)
    #expect(
      try runs.run(["compare", "a", "b"]).unwrapped.contains("one prompt gives no interval"))
  }

  /// The effect of a lower precision: a singular value of block 2 and an entry of block 3 are off, and those blocks show it.
  @Test func blocksShowWhereTheyDiffer() throws {
    let runs = try MadeRuns()
    try runs.add("a")
    try runs.add("b") {
      $0.prompts[1].layers[1].singularValues[1] -= 0.01 * $0.prompts[1].layers[1].singularValues[0]
      try $0.prompts[2].changeTables {
        var matrix = $0
        matrix[2][0] = matrix[2][0].map { $0 + 0.25 }
        return matrix
      }
    }
    let blocks = try runs.json(["compare", "a", "b"]).objects("blocks")
    for (values, expected) in [("singular_values", [0, 0.01, 0]), ("coupling", [0, 0, 0.25])] {
      for (block, size) in zip(blocks, expected) {
        #expect(abs(try #require(block.number(values)) - size) < 1e-12, "\(values)")
      }
    }
    #expect(try runs.run(["compare", "a", "b"]).output.contains("2.5e-01"))
  }

  @Test func otherShapesAndReadings() throws {
    let runs = try MadeRuns()
    try runs.add("a")
    try runs.add("b") {
      ($0.model.layers, $0.model.width) = (12, 768)
      $0.statistics.coupling.removeAll { $0.setting.rank == 4 || $0.setting.sign == .absolute }
    }
    let comparison = try runs.json(["compare", "a", "b"])
    #expect(comparison.objects("blocks").isEmpty)
    let notes = try #require(comparison["notes"] as? [String])
    #expect(notes.contains { $0.contains("3 of width 24 and 12 of width 768") })
    #expect(notes.contains { $0.contains("rank 4") && $0.contains("first run only") })
    _ = try quantity(comparison, "coupling, depth, rank 2")
    let absolute = try runs.run(["compare", "a", "b", "--sign", "absolute", "--rank", "2"])
    #expect(absolute.status == 0 && absolute.unwrapped.contains("first run only"))
    #expect(!absolute.output.contains("coupling, depth, rank 2:"))
    #expect(
      try runs.run(["compare", "a", "a", "--rank", "3"]).output.contains("neither run has"))
    #expect(try runs.run(["compare", "a", "a", "--rank", "0"]).status == 64)
  }

  // MARK: Hostile folders

  @Test func foldersThatAreNoRuns() throws {
    let runs = try MadeRuns()
    try runs.add("a")
    try runs.write(Data("[]".utf8), to: "list")
    try runs.write(Data(repeating: 0x5B, count: 100_000), to: "deep")
    for folder in ["nowhere", "list", "deep"] {
      for arguments in [["a", folder], [folder, "a"]] {
        let finished = try runs.run(["compare"] + arguments)
        #expect(finished.status == 1 && finished.output.isEmpty, "\(folder)")
        #expect(finished.complaints.count == 1 && finished.error.contains(folder))
      }
    }
    #expect(try runs.run(["compare", "a"]).status == 64)
  }

  /// Lists that are too short, numbers too large to subtract, names with control characters: what remains is compared.
  @Test func recordsThatContradictThemselves() throws {
    let runs = try MadeRuns()
    try runs.add("a") { try $0.setCoupling([-1.5e307]) }
    try runs.add("b", model: "x\u{1B}[2J") {
      try $0.setCoupling([1.5e307])
      for p in $0.prompts.indices {
        $0.prompts[p].layers[0].singularValues = []
        $0.prompts[p].coupling = []
        $0.prompts[p].trajectory.norms = []
      }
      $0.statistics.trajectory = []
    }
    for pair in [["a", "b"], ["b", "a"], ["b", "b"]] {
      let finished = try runs.run(["compare"] + pair)
      #expect(finished.status == 0 && !finished.output.contains("\u{1B}"), "\(finished.error)")
      _ = try runs.json(["compare"] + pair)
    }
  }
}
