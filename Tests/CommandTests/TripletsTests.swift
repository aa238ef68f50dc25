import Analysis
import Foundation
import TestSupport
import Testing

/// `krylens triplets`, and what `show`, `report` and `tokens` make of its runs.
struct TripletsTests {
  private static let model = ModelFixture("llama").folder
  private static let tokens = ["--token-ids", "1,2,3,4"]

  private func triplets(
    _ options: [String], in scratch: ScratchFolder, output: String = "run"
  ) throws -> Finished {
    try Command.run(
      ["triplets", Self.model, "-o", output, "--threads", "1"] + options, in: scratch)
  }

  private func result(_ scratch: ScratchFolder, _ name: String = "run") throws -> [String: Any] {
    let data = try Data(contentsOf: URL(fileURLWithPath: scratch["\(name)/result.json"]))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  // MARK: The folder

  @Test func theRecordHasItsKeys() throws {
    let scratch = try ScratchFolder()
    let finished = try triplets(
      Self.tokens + [
        "--from-layer", "0", "--to-layer", "2", "--from-token", "all", "--to-token", "-1",
        "--top", "3", "--read-out", "2",
      ], in: scratch)
    #expect(finished.status == 0, "\(finished.error)")
    let result = try result(scratch)
    #expect(result["command"] as? String == "triplets" && result["complete"] as? Bool == true)
    let settings = try #require(result["settings"] as? [String: Any])
    #expect(settings["tolerance"] as? Double == 1e-5 && settings["top"] as? Int == 3)
    #expect(settings["from_token"] as? String == "all" && settings["to_token"] as? [Int] == [-1])
    #expect(settings["average"] as? Bool == false && settings["read_out"] as? Int == 2)
    let prompts = try #require(result["prompts"] as? [[String: Any]])
    let map = try #require(prompts[0]["map"] as? [String: Any])
    #expect(map["from_layer"] as? Int == 0 && map["to_layer"] as? Int == 2)
    #expect(map["from_tokens"] as? [Int] == [0, 1, 2, 3] && map["to_tokens"] as? [Int] == [3])
    #expect(map["linearization"] as? String == "full")
    #expect(map["identity_subtracted"] as? Bool == false && map["converged"] as? Bool == true)
    #expect(map["shape"] as? [Int] == [24, 96])
    for key in ["singular_values", "residual_norms"] {
      #expect((map[key] as? [Double])?.count == 3)
    }
    for key in ["solver", "applications", "passes", "seconds", "read_out", "token_norms"] {
      #expect(map[key] != nil && !(map[key] is NSNull), "\(key)")
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: scratch["run"]).sorted()
    #expect(names == ["result.json", "singular_values.csv", "triplets.safetensors"])
    let rows = try String(contentsOfFile: scratch["run/singular_values.csv"], encoding: .utf8)
      .split(separator: "\n")
    #expect(rows.count == 4 && rows[1].hasPrefix("0,0,2,1,"))

    let again = try triplets(
      Self.tokens + [
        "--from-layer", "0", "--to-layer", "2", "--from-token", "0,1,2,3", "--to-token", "last",
        "--top", "3", "--read-out", "2",
      ], in: scratch)
    #expect(
      again.status == 1 && again.error.contains("--from-token is all there"), "\(again.error)")
    let shown = try Command.run(["show", "run"], in: scratch)
    #expect(shown.status == 0, "\(shown.error)")
    #expect(finished.output.hasPrefix(shown.output.trimmingCharacters(in: .newlines)))
    #expect(shown.output.contains("24 × 96") && shown.output.contains("u1"))
  }

  @Test func theLogitsMayBeTwo() throws {
    let scratch = try ScratchFolder()
    let finished = try triplets(
      Self.tokens + ["--to-layer", "logits", "--logits", "3,5", "--quiet"], in: scratch)
    #expect(finished.status == 0 && finished.output.isEmpty, "\(finished.error)")
    let prompts = try #require(try result(scratch)["prompts"] as? [[String: Any]])
    let map = try #require(prompts[0]["map"] as? [String: Any])
    #expect(map["shape"] as? [Int] == [1, 24] && map["logits"] as? [Int] == [3, 5])
    #expect(map["to_layer"] as? String == "logits" && map["solver"] as? String == "dense")
  }

  @Test func finishedRunsAreLeftAlone() throws {
    let scratch = try ScratchFolder()
    let options = Self.tokens + ["--token-ids", "5,6", "--top", "2", "--average"]
    #expect(try triplets(options, in: scratch).status == 0)
    let before = try Data(contentsOf: URL(fileURLWithPath: scratch["run/result.json"]))
    #expect(try result(scratch)["average"] is [String: Any])
    let again = try triplets(options, in: scratch)
    #expect(again.status == 0 && again.error.contains("nothing was done"), "\(again.error)")
    #expect(try Data(contentsOf: URL(fileURLWithPath: scratch["run/result.json"])) == before)
    let align = try Command.run(
      ["align", Self.model, "-o", "run"] + Self.tokens + ["--top", "2"], in: scratch)
    #expect(align.status == 1 && align.error.contains("--output"), "\(align.error)")
    let compared = try Command.run(["compare", "run", "run"], in: scratch)
    #expect(compared.status == 1 && compared.error.contains("krylens triplets"))
  }

  // MARK: Other commands

  @Test func vectorsAreReadOutAfterwards() throws {
    let scratch = try ScratchFolder()
    #expect(try triplets(Self.tokens + ["--top", "2", "--read-out", "3"], in: scratch).status == 0)
    let aligned = try Command.run(
      ["align", Self.model, "-o", "aligned", "--top", "2", "--quiet"] + Self.tokens, in: scratch)
    #expect(aligned.status == 0, "\(aligned.error)")
    let read = { (run: String, options: [String]) in
      try Command.run(["tokens", run, "--read-out", "3", "--json"] + options, in: scratch)
    }
    let ids = { (finished: Finished, side: String) throws -> [Int] in
      let json = try JSONSerialization.jsonObject(with: Data(finished.output.utf8))
      let list = try #require(json as? [[String: Any]])
      let readOut = try #require(list[0]["read_out"] as? [String: Any])
      let parts = try #require(readOut[side] as? [[[String: Any]]])
      return (parts[0][0]["favoured"] as? [[String: Any]] ?? []).compactMap { $0["id"] as? Int }
    }
    let prompts = try #require(try result(scratch)["prompts"] as? [[String: Any]])
    let map = try #require(prompts[0]["map"] as? [String: Any])
    let recorded = try #require(map["read_out"] as? [String: Any])
    let (maps, blocks) = (try read("run", []), try read("aligned", ["--layers", "3"]))
    #expect(maps.status == 0 && blocks.status == 0, "\(maps.error)\(blocks.error)")
    for side in ["left", "right"] {
      let parts = try #require(recorded[side] as? [[[String: Any]]])
      let wanted = (parts[0][0]["favoured"] as? [[String: Any]] ?? []).compactMap {
        $0["id"] as? Int
      }
      #expect(wanted.count == 3)
      #expect(try ids(maps, side) == wanted)
      // The same Jacobian, its vectors up to their common sign.
      #expect(try ids(blocks, side).count == 3)
    }
    let other = try Command.run(
      ["tokens", "run", "--model", ModelFixture("odd").folder], in: scratch)
    #expect(other.status != 0 && other.error.contains("other weights"), "\(other.error)")
    let text = try Command.run(["tokens", "run"], in: scratch)
    #expect(text.status == 0 && text.output.contains("v2:"), "\(text.error)")
  }

  @Test(
    .enabled(
      if: FileManager.default.isExecutableFile(atPath: "/usr/bin/gnuplot"),
      "gnuplot is not installed"))
  func reportsDrawMaps() throws {
    let scratch = try ScratchFolder()
    let options = [
      "--from-layer", "0", "--to-layer", "3", "--from-token", "all", "--to-token", "all",
      "--read-out", "2",
    ]
    #expect(try triplets(Self.tokens + options, in: scratch).status == 0)
    let report = try Command.run(["report", "run", "-o", "report"], in: scratch)
    #expect(report.status == 0, "\(report.error)")
    let page = try String(contentsOfFile: scratch["report/index.html"], encoding: .utf8)
    #expect(page.contains("run-1-spectrum") && page.contains("run-1-tokens-1"))
    #expect(page.contains("favours") && page.contains("96 × 96"))
    let aligned = try Command.run(
      ["align", Self.model, "-o", "aligned", "--top", "2", "--quiet"] + Self.tokens, in: scratch)
    #expect(aligned.status == 0)
    let mixed = try Command.run(["report", "run", "aligned", "-o", "mixed"], in: scratch)
    #expect(mixed.status != 0 && mixed.error.contains("each kind"), "\(mixed.error)")
  }

  // MARK: Bad input

  struct Wrong: Sendable, CustomTestStringConvertible {
    let options: [String]
    let names: [String]
    var testDescription: String { options.joined(separator: " ") }
    init(_ options: String..., names: [String]) { (self.options, self.names) = (options, names) }
  }

  static let wrong = [
    Wrong("--from-layer", "2", "--to-layer", "1", names: ["--to-layer 1", "--from-layer"]),
    Wrong("--from-layer", "1", "--to-layer", "1", names: ["--to-layer 1", "--from-layer"]),
    Wrong("--from-layer", "3", names: ["--from-layer 3", "--to-layer"]),
    Wrong("--from-layer", "-1", names: ["--from-layer -1", "0"]),
    Wrong("--to-layer", "4", names: ["--to-layer 4", "3"]),
    Wrong("--to-layer", "0", names: ["--to-layer 0", "from 1 to 3"]),
    Wrong("--to-layer", "head", names: ["--to-layer", "head"]),
    Wrong("--from-token", "4", names: ["--from-token 4", "0 to 3"]),
    Wrong("--to-token", "0,-5", names: ["--to-token -5", "0 to 3"]),
    Wrong("--from-token", "", names: ["--from-token"]),
    Wrong("--from-token", "3", "--to-token", "1", names: ["--to-token 1", "causal"]),
    Wrong("--from-token", "all", "--skip", "4", names: ["--skip 4", "--from-token all"]),
    Wrong("--from-token", "all", "--skip", "-1", names: ["--skip -1"]),
    Wrong("--skip", "1", names: ["--skip 1", "all"]),
    Wrong("--head", "99", names: ["--head 99", "heads"]),
    Wrong("--head", "-1", names: ["--head -1", "heads"]),
    Wrong("--head", "0", "--site", "mlp", names: ["--head 0", "--site attention"]),
    Wrong("--head", "0", "--expert", "0", names: ["--expert 0", "--head"]),
    Wrong("--head", "0", "--from-layer", "0", "--to-layer", "2", names: ["--head 0", "one block"]),
    Wrong("--site", "mlp", "--to-layer", "final", names: ["--site mlp", "one block"]),
    Wrong("--expert", "0", names: ["--expert 0", "experts"]),
    Wrong("--logits", "3", names: ["--logits 3", "two token ids"]),
    Wrong("--logits", "3,3", names: ["--logits 3,3", "two token ids"]),
    Wrong("--logits", "3,9999", names: ["--logits 9999", "vocabulary"]),
    Wrong("--logits", "3,4", "--to-layer", "2", names: ["--logits 3,4", "--to-layer logits"]),
    Wrong("--path", "own", "--from-token", "all", names: ["--path own", "--from-token"]),
    Wrong("--top", "25", names: ["--top 25", "24"]),
    Wrong("--top", "0", names: ["--top 0"]),
    Wrong("--tolerance", "1", names: ["--tolerance", "between 0 and 1"]),
    Wrong("--read-out", "0", names: ["--read-out 0"]),
    Wrong("--read-out", "9999", names: ["--read-out 9999"]),
    Wrong("--linearization", "none", names: ["--linearization", "detached"]),
    Wrong("--reduce", "max", names: ["--reduce", "mean"]),
    Wrong("--max-memory", "1kB", names: ["--max-memory 1.0 kB"]),
    Wrong(
      "--average", "--to-token", "all", "--token-ids", "1,2",
      names: ["--average", "prompt 2", "--reduce"]),
  ]

  @Test(arguments: wrong) func impossibleMapsAreRefused(_ case: Wrong) throws {
    let scratch = try ScratchFolder()
    let finished = try triplets(Self.tokens + `case`.options, in: scratch, output: "out/run")
    #expect(finished.status == 64, "\(finished.error)")
    #expect(finished.output.isEmpty && scratch.contents.isEmpty)
    #expect(
      finished.complaints.filter { $0.hasPrefix("Error: ") }.count == 1, "\(finished.error)")
    for name in `case`.names {
      #expect(finished.error.contains(name), "\(name): \(finished.error)")
    }
  }
}
