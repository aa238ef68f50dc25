import Alignment
import Foundation
import TestSupport
import Testing

@testable import Analysis

/// `krylens correlate` of runs with scores.
struct CorrelateTests {
  /// What `make_fixtures.py` of AlignmentTests wrote: results of scipy on 12 made-up models.
  struct Reference: Decodable {
    struct Model: Decodable {
      let name: String
      let perPrompt: [Double]
      let score: Double
      let parameters, depth, width: Int
    }
    let models: [Model]
    let r, rSquared, slope, intercept, pValue, rho, rankP, partialR, partialP: Double
    let rivals: [String: Double]
    let threshold, aboveRSquared, abovePValue: Double
    let aboveCount: Int

    static func load() throws -> Reference {
      let path = ModelFixture.path("AlignmentTests/Fixtures/scores.json")
      return try JSONDecoder().decode(
        Reference.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    }
  }

  /// Three runs named a, b and c, with scores in scores.csv.
  private func three(
    _ change: (String, inout RunRecord) throws -> Void = { _, _ in }
  ) throws -> (MadeRuns, [String]) {
    let runs = try MadeRuns()
    try runs.scratch.write(Array("model,mean_of_six\na,50\nb,40.5\nc,70\n".utf8), to: "scores.csv")
    for (i, name) in ["a", "b", "c"].enumerated() {
      try runs.add(name, model: name) {
        $0.model.fingerprint = "weights of \(name)"
        try $0.setCoupling([0.1, 0.2, 0.4].map { $0 + 0.1 * Double(i) })
        try change(name, &$0)
      }
    }
    return (runs, ["correlate", "a", "b", "c", "--scores", "scores.csv"])
  }

  // MARK: Numbers

  /// Both sides sum 12 numbers in float64; only p is more sensitive, a power of 1 − r².
  @Test func agreesWithScipy() throws {
    let (reference, runs) = (try Reference.load(), try MadeRuns())
    // A file as spreadsheets write it: a byte order mark, CR LF, quotes.
    var csv = "\u{FEFF}model,\"notes, if any\",mean_of_six\r\n"
    for (i, m) in reference.models.enumerated() {
      csv += "\(m.name),\"said \"\"well\"\",\r\nor not\",\(m.score)\r\n"
      try runs.add("run-\(i)", model: m.name) {
        $0.model.fingerprint = m.name
        ($0.model.parameters, $0.model.layers, $0.model.width) = (m.parameters, m.depth, m.width)
        try $0.setCoupling(m.perPrompt)
      }
    }
    try runs.scratch.write(Array(csv.utf8), to: "scores.csv")
    let study = try runs.json(
      ["correlate"] + reference.models.indices.map { "run-\($0)" }
        + ["--scores", "scores.csv", "--above", "\(reference.threshold)"])
    let got = try #require(study["statistics"] as? [String: Any])
    let numbers: [(String, Double?, Double)] = [
      ("r", got.number("pearson", "r"), reference.r),
      ("R²", got.number("pearson", "r_squared"), reference.rSquared),
      ("slope", got.number("pearson", "slope"), reference.slope),
      ("intercept", got.number("pearson", "intercept"), reference.intercept),
      ("p", got.number("pearson", "p_value"), reference.pValue),
      ("ρ", got.number("spearman", "rho"), reference.rho),
      ("p of ρ", got.number("spearman", "p_value"), reference.rankP),
      ("partial r", got.number("partial", "r"), reference.partialR),
      ("partial p", got.number("partial", "p_value"), reference.partialP),
      ("R² above", got.number("above", "correlation", "r_squared"), reference.aboveRSquared),
      ("p above", got.number("above", "correlation", "p_value"), reference.abovePValue),
      ("above", got.number("above", "count"), Double(reference.aboveCount)),
    ]
    for (name, value, expected) in numbers {
      #expect(
        abs(try #require(value, "\(name)") - expected) <= 1e-9 * abs(expected),
        "\(name): \(value!), scipy \(expected)")
    }
    #expect(got.objects("rivals").count == reference.rivals.count)
    for rival in got.objects("rivals") {
      let name = try #require(rival["name"] as? String)
      let expected = try #require(reference.rivals[name])
      #expect(abs(try #require(rival.number("correlation", "r_squared")) - expected) <= 1e-9)
    }
    // Prompts differ by 0.02, models by 0.6: resampling prompts changes r less than resampling models.
    for interval in ["interval_over_models", "interval_over_prompts"] {
      #expect(try #require(got.number(interval, "lower")) < reference.r)
      #expect(try #require(got.number(interval, "upper")) > reference.r)
    }
    #expect(
      got.number("interval_over_models", "lower")! < got.number("interval_over_prompts", "lower")!)
  }

  @Test func aLineOfThree() throws {
    let (runs, correlate) = try three()
    let printed = try runs.run(correlate + ["--above", "45"])
    #expect(printed.status == 0 && printed.error.isEmpty)
    for part in [
      "coupling (depth, rank 4, signed, frobenius, same, one-minus; diagonal excluded, site block, last residual)",
      "null", "3 models", "Pearson r", "Spearman ρ", "over prompts", "R² of rivals", "2 above 45",
      "ln(width) not defined",
    ] { #expect(printed.unwrapped.contains(part), "\(part): \(printed.output)") }
    let study = try runs.json(correlate)
    #expect(
      study.objects("models").map { $0["standing"] as? String } == ["used", "used", "used"])
    #expect(study.objects("models").allSatisfy { $0.number("null") != nil })
    #expect((study["warnings"] as? [String]) == [])
  }

  @Test func otherQuantities() throws {
    let (runs, correlate) = try three()
    let growth = try #require(
      try MadeRuns.base.get().statistics.trajectory(.growth, .others)?.value.mean)
    let study = try runs.json(correlate + ["--quantity", "growth", "--tokens", "others"])
    for model in study.objects("models") {
      // Foundation reads JSON numbers to an ulp or two.
      #expect(abs(try #require(model.number("value", "mean")) - growth) <= 1e-14 * abs(growth))
    }
    // All three are the same: r is not defined, which the output says.
    #expect(study["statistics"] is [String: Any])
    #expect((study["statistics"] as? [String: Any])?.number("pearson", "r") == nil)
    for options in [["--tokens", "last"], ["--quantity", "growth", "--rank", "4"]] {
      #expect(try runs.run(correlate + options).status == 64)
    }
  }

  // MARK: Who takes part

  @Test func namesMatchExactlyThenWithoutCase() throws {
    let (runs, correlate) = try three()
    try runs.scratch.write(
      Array("model,s\nA,1\na,2\nB,3\nC,\n\nc c,5".utf8), to: "scores.csv")
    let finished = try runs.run(correlate + ["--score", "s", "--json"])
    // b is found as B; c is C, which has no score; two remain.
    #expect(finished.status == 1 && finished.complaints.count == 1)
    #expect(finished.error.contains("2 of the 3") && finished.error.contains("scores.csv"))
    let models = try MadeRuns.object(finished.output).objects("models")
    #expect(models.map { $0.number("score") } == [2, 3, nil])
    #expect(models.map { $0["standing"] as? String } == ["used", "used", "no-score"])
  }

  @Test func thoseLeftOutAreListed() throws {
    let (runs, correlate) = try three()
    try runs.scratch.write(Array("model,mean_of_six\na,\nA,5\nB,1\nb,\nx,2".utf8), to: "scores.csv")
    let finished = try runs.run(correlate)
    #expect(finished.status == 1)
    #expect(finished.error.contains("0 of the 3") && finished.error.contains("--name"))
    #expect(finished.output.contains("listed without mean_of_six: a (a)"))
    #expect(finished.output.contains("not listed in scores.csv: c (c)"))
  }

  @Test func theCommittedScoresAreRead() throws {
    let runs = try MadeRuns()
    let names = ["meta-llama/Llama-2-7b-hf", "huggyllama/LLAMA-7b", "meta-llama/Llama-2-70b-hf"]
    for (i, name) in names.enumerated() {
      try runs.add("\(i)", model: name) { $0.model.fingerprint = name }
    }
    let file = ModelFixture.path("../benchmarks/scores/open-llm-leaderboard-v1.csv")
    let study = try runs.json(["correlate", "0", "1", "2", "--scores", file])
    #expect(study.objects("models").map { $0.number("score") } == [50.35, 46.37, 67.87])
  }

  // MARK: Runs that do not belong together

  @Test func couplingsOfOtherMeaningAreRefused() throws {
    let changes: [(String, (inout RunRecord) -> Void)] = [
      ("sign", { $0.settings.sign = .absolute }), ("form", { $0.settings.form = .crossed }),
      ("last", { $0.settings.last = .drop }), ("site", { $0.settings.site = .mlp }),
      ("rank", { $0.statistics.coupling.removeAll { $0.setting.rank == 4 } }),
    ]
    for (key, change) in changes {
      let (runs, correlate) = try three { if $0 == "b" { change(&$1) } }
      let finished = try runs.run(correlate)
      #expect(finished.status == 64 && finished.output.isEmpty, "\(key)")
      #expect(finished.complaints.count == 1 && finished.error.contains("\(key): "), "\(key)")
      #expect(finished.error.contains("in b"), "\(finished.error)")
    }
    // Choosing one reading for all of them helps.
    let (runs, correlate) = try three { if $0 == "b" { $1.settings.sign = .absolute } }
    #expect(try runs.run(correlate + ["--sign", "absolute"]).status == 0)
    let lacking = try runs.run(correlate + ["--rank", "3"])
    #expect(lacking.status == 64 && lacking.error.contains("rank 2, 4"))
  }

  @Test func whatMovesTheNullLevelIsWarnedOf() throws {
    let (shares, correlate) = try three { name, run in
      run.settings.rankShare = 0.1
      // Of another width: the same share is another rank.
      if name == "b" { run.statistics.coupling.removeAll { $0.setting.rank == 4 } }
    }
    let study = try shares.json(correlate)
    #expect(study.objects("models").map { $0.number("rank") } == [4, 2, 4])
    #expect((study["warnings"] as? [String])?.first?.contains("share of the width") == true)
    let (runs, _) = try three()
    let trace = try runs.run(correlate + ["--normalisation", "trace"])
    #expect(trace.output.contains("warning: with trace normalisation"))
  }

  @Test func doubtfulRunsAreWarnedOf() throws {
    let (runs, correlate) = try three { name, run in
      if name == "a" {
        run.complete = false
        try run.setCoupling([0.3])
        run.prompts.removeLast(2)
      }
      if name == "c" { run.settings.layers = [1, 2] }
    }
    let output = try runs.run(correlate).unwrapped
    for part in [
      "not finished, so with fewer prompts than requested: a", "only one prompt",
      "layers: ", "different prompts",
    ] { #expect(output.contains(part), "\(part): \(output)") }
    let twice = try runs.run(correlate + ["./c"])
    #expect(twice.status == 64 && twice.error.contains("given twice"))
  }

  /// Two runs of one model are one point, whatever their names.
  @Test func aModelCountsOnce() throws {
    let (runs, correlate) = try three()
    try runs.scratch.write(
      Array("model,mean_of_six\na,50\nb,40.5\nc,70\ntwin,60\n".utf8), to: "scores.csv")
    func add(_ name: String, _ model: String, _ change: (inout RunRecord) -> Void) throws {
      try runs.add(name, model: model) { change(&$0) }
    }
    // The same weights under another name; other weights under the same name, or one that differs in case.
    try add("renamed", "twin") { $0.model.fingerprint = "weights of c" }
    try add("requantised", "c") { $0.model.fingerprint = "other weights" }
    try add("shouted", "C") { $0.model.fingerprint = "other weights" }
    for (name, words) in [
      ("renamed", "the same weights"), ("requantised", "the score of c"),
      ("shouted", "the score of c"),
    ] {
      let finished = try runs.run(correlate + [name])
      #expect(finished.status == 64 && finished.output.isEmpty, "\(name)")
      #expect(finished.error.contains(words) && finished.error.contains("model as c ("), "\(name)")
    }
    // A run without a score is not a point, and random weights are other weights.
    try add("unlisted", "nobody") { $0.model.fingerprint = "weights of c" }
    #expect(try runs.run(correlate + ["unlisted"]).status == 0)
    try add("random", "twin") {
      $0.model.fingerprint = "weights of c"
      $0.settings.randomInit = true
    }
    let random = try runs.run(correlate + ["random"])
    #expect(random.status == 0 && random.unwrapped.contains("warning: random weights"))
    try runs.add("d", model: "TWIN") { $0.model.fingerprint = "d" }
    let cased = try runs.run(correlate + ["d"])
    #expect(cased.unwrapped.contains("TWIN uses the score of twin"))
  }

  @Test func repeatedAndFailedPromptsAreNamed() throws {
    let (runs, correlate) = try three { name, run in
      if name == "a" { run.prompts[1] = run.prompts[0] }
      if name == "b" {
        run.prompts[1].failed = PromptFailure(number: 2, layer: 1, reason: "not finite")
      }
    }
    let finished = try runs.run(correlate)
    #expect(finished.unwrapped.contains("prompts given more than once, which count once: a"))
    #expect(
      finished.unwrapped.contains("some prompts failed, so with fewer than requested: b"))
    #expect(finished.output.split(separator: "\n").allSatisfy { $0.count <= 80 })
  }

  @Test func foldersThatAreNoRuns() throws {
    let (runs, correlate) = try three()
    try runs.write(Data("{\"model\": 3".utf8), to: "broken")
    for folder in ["nowhere", "broken", "scores.csv"] {
      let finished = try runs.run(correlate + [folder])
      #expect(finished.status == 1 && finished.output.isEmpty, "\(folder)")
      #expect(finished.complaints.count == 1 && finished.error.contains(folder))
    }
  }

  // MARK: Files that are not tables

  struct BadTable: Sendable, CustomTestStringConvertible {
    let bytes: [UInt8]
    let words: [String]
    var testDescription: String { words.joined(separator: ", ") }
    init(_ text: String, _ words: String...) { (bytes, self.words) = (Array(text.utf8), words) }
    init(bytes: [UInt8], _ words: String...) { (self.bytes, self.words) = (bytes, words) }
  }

  static let badTables = [
    BadTable("", "empty"),
    BadTable("\n\n", "line 1", "no header line"),
    BadTable("\u{FEFF}", "line 1", "no header line"),
    BadTable("name,mean_of_six\na,1", "line 1", "\"name\"", "model"),
    BadTable("model;mean_of_six\na;1", "line 1", "commas"),
    BadTable("model,mean_of_six,mean_of_six\na,1,2", "line 1", "two columns"),
    BadTable("model,mean_of_six\na,1\nb,1,2", "line 3", "3 cells", "2 columns"),
    BadTable("model,mean_of_six\n\na,1\nb", "line 4", "1 cells"),
    BadTable("model,mean_of_six\na,1\n,2", "line 3", "column model", "empty"),
    BadTable("model,mean_of_six\n\"a\nb\",1\nx,2\nx,3", "line 5", "model x", "line 4"),
    BadTable("model,mean_of_six\na,1\nb,high", "line 3", "mean_of_six", "\"high\""),
    BadTable("model,mean_of_six\na,nan", "line 2", "mean_of_six", "\"nan\""),
    BadTable("model,mean_of_six\na,1e999", "line 2", "mean_of_six", "\"1e999\""),
    BadTable("model,mean_of_six\na,\"43,8\"", "line 2", "mean_of_six", "\"43,8\""),
    BadTable("model,mean_of_six\na,\u{1B}[2J", "line 2", "mean_of_six", "\\u{1B}"),
    BadTable("model,mean_of_six\na,1\nb\"c,2\n", "line 3", "quote"),
    BadTable("model,mean_of_six\n\"a,1\nb,2\n", "line 2", "quote"),
    BadTable("model,mean_of_six\n\"a\"b,1\n", "line 2", "quote"),
    BadTable("\"model,mean_of_six\na,1\n", "line 1", "quote"),
    BadTable(bytes: Array("model,mean_of_six\na,1\n".utf8) + [0xFF, 0xFE], "line 3", "UTF-8"),
    BadTable(bytes: [0xFF, 0xFE, 0x6D, 0x00], "line 1", "UTF-8"),
  ]

  @Test(arguments: badTables) func badTable(_ table: BadTable) throws {
    let (runs, correlate) = try three()
    try runs.scratch.write(table.bytes, to: "scores.csv")
    let finished = try runs.run(correlate)
    #expect(finished.status == 1 && finished.output.isEmpty, "\(finished.error)")
    #expect(finished.complaints.count == 1, "\(finished.error)")
    #expect(!finished.error.contains("\u{1B}"))
    for word in table.words + ["scores.csv"] {
      #expect(finished.error.contains(word), "\(word): \(finished.error)")
    }
  }

  @Test func columnsThatAreNotThere() throws {
    let (runs, correlate) = try three()
    for column in ["mmlu", "model", ""] {
      let finished = try runs.run(correlate + ["--score", column])
      #expect(finished.status == 64 && finished.output.isEmpty)
      #expect(finished.error.contains("--score") && finished.error.contains("mean_of_six"))
    }
    let missing = try runs.run(["correlate", "a", "b", "c", "--scores", "none.csv"])
    #expect(missing.status == 1 && missing.error.contains("none.csv"))
  }

  @Test func namesDoNotSteerTheTerminal() throws {
    let (runs, correlate) = try three { $1.model.name += "\u{1B}[31m\n\u{202E}" }
    let finished = try runs.run(correlate)
    #expect(finished.status == 1)
    for steering in ["\u{1B}", "\u{202E}"] {
      #expect(!finished.output.contains(steering) && !finished.error.contains(steering))
    }
  }
}
