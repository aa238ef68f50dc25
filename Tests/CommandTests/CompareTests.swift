import Alignment
import Foundation
import TestSupport
import Testing

@testable import Analysis

/// `krylens compare`: two runs side by side.
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
    #expect(printed.output.contains("B is the same; the two do not stand apart"))
  }

  @Test func numbersThatStandApart() throws {
    let runs = try MadeRuns()
    try runs.add("a") { $0.setCoupling([0.1, 0.2, 0.3]) }
    try runs.add("b", model: "other") {
      $0.setCoupling([0.71, 0.79, 0.9])
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
    // Foundation reads JSON numbers to an ulp or two.
    for (key, value) in [("mean", expected.mean), ("p_value", expected.pValue)] {
      #expect(abs(try #require(coupling.number("paired", key)) - value) <= 1e-14 * value)
    }
    #expect(coupling.number("first_null") != nil && coupling.number("second_null") != nil)
    let output = try runs.run(["compare", "a", "b"]).output
    #expect(
      output.contains(
        "coupling, depth, rank 4: B is higher by 0.6; the two stand apart by more than their intervals"
      ))
    #expect(try runs.run(["compare", "b", "a"]).output.contains("B is lower by 0.6"))
  }

  @Test func promptsAreMatchedByTheirTokens() throws {
    let runs = try MadeRuns()
    try runs.add("a") { $0.setCoupling([0.1, 0.2, 0.4]) }
    try runs.add("b") {
      $0.prompts.reverse()
      $0.setCoupling([0.5, 0.3, 0.2])
    }
    let order = try quantity(try runs.json(["compare", "a", "b"]), "coupling, depth, rank 2")
    #expect(abs(try #require(order.number("paired", "mean")) - 0.1) < 1e-15)
    try runs.add("c") {
      $0.prompts.removeLast()
      $0.prompts[0].tokenIds = [5, 3, 9, 8]
      $0.complete = false
      $0.setCoupling([0.5, 0.3])
    }
    let part = try runs.json(["compare", "a", "c"])
    #expect(part.number("common_prompts") == 1)
    #expect((part["notes"] as? [String])?.contains { $0.contains("only the 1") } == true)
    #expect(try quantity(part, "coupling, depth, rank 2")["paired"] is NSNull)
    try runs.add("d") { for p in $0.prompts.indices { $0.prompts[p].tokenIds = [p] } }
    let none = try runs.run(["compare", "a", "d"])
    #expect(none.status == 0 && none.output.contains("no prompt is the same in both"))
    #expect(try runs.json(["compare", "a", "d"]).objects("blocks").isEmpty)
    #expect(try runs.run(["compare", "a", "c"]).output.contains("unfinished"))
  }

  @Test func ofOnePromptNothingIsKnown() throws {
    let runs = try MadeRuns()
    try runs.add("a")
    try runs.add("b") {
      $0.prompts.removeLast(2)
      $0.setCoupling([5])
    }
    let comparison = try runs.json(["compare", "a", "b"])
    let coupling = try quantity(comparison, "coupling, depth, rank 4")
    #expect(coupling["standing"] as? String == "unknown" && coupling["paired"] is NSNull)
    #expect(
      try runs.run(["compare", "a", "b"]).output.contains("of one prompt there is no interval"))
  }

  /// What a lower precision does: a singular value of block 2 and an entry of block 3 are off, and those blocks say so.
  @Test func blocksShowWhereTheyDiffer() throws {
    let runs = try MadeRuns()
    try runs.add("a")
    try runs.add("b") {
      $0.prompts[1].layers[1].singularValues[1] -= 0.01 * $0.prompts[1].layers[1].singularValues[0]
      let tables = try #require(
        try JSONSerialization.jsonObject(with: try JSONEncoder().encode($0.prompts[2].coupling))
          as? [[String: Any]])
      let changed = tables.map { table in
        var table = table
        var matrix = table["matrix"] as? [[Double]] ?? []
        matrix[2][0] += 0.25
        table["matrix"] = matrix
        return table
      }
      $0.prompts[2].coupling = try JSONDecoder().decode(
        [CouplingMatrix].self, from: JSONSerialization.data(withJSONObject: changed))
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
    #expect(notes.contains { $0.contains("3 of width 24 against 12 of width 768") })
    #expect(notes.contains { $0.contains("rank 4") && $0.contains("first run only") })
    _ = try quantity(comparison, "coupling, depth, rank 2")
    let absolute = try runs.run(["compare", "a", "b", "--sign", "absolute", "--rank", "2"])
    #expect(absolute.status == 0 && absolute.output.contains("first run only"))
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

  /// Lists shorter than they should be, numbers too large to subtract, names that steer: a comparison of what is left.
  @Test func recordsThatContradictThemselves() throws {
    let runs = try MadeRuns()
    try runs.add("a") { $0.setCoupling([-1e308]) }
    try runs.add("b", model: "x\u{1B}[2J") {
      $0.setCoupling([1e308])
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
