import Studies
import Analysis
import Foundation
import TestSupport
import Testing

@testable import Report

/// Which figures there are, and what the page says, of runs of all kinds.
@Suite(
  .enabled(
    if: hasGnuplot, "gnuplot is not installed: no report can be made (apt-get install gnuplot-nox)")
)
struct ReportTests {
  /// A report, drawn, its page and its files.
  private struct Made {
    let page: String
    let files: [String]
    let scripts: [String: String]

    init(_ samples: [SampleRun]) throws {
      let scratch = try ScratchFolder()
      let report = try RunReport(try samples.map { try $0.stored(in: scratch) })
      try report.write(to: scratch["report"])
      page = try String(contentsOfFile: scratch["report/index.html"], encoding: .utf8)
      let folder = scratch["report/figures"]
      files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
      scripts = try files.filter { $0.hasSuffix(".gp") }.reduce(into: [:]) {
        $0[$1] = try String(contentsOfFile: "\(folder)/\($1)", encoding: .utf8)
      }
    }

    var figures: [String] { scripts.keys.map { String($0.dropLast(3)) }.sorted() }
  }

  private static let ofOneRun = [
    "run-1-blocks", "run-1-depth", "run-1-norms", "run-1-paths", "run-1-spectra",
  ]

  /// Different ways of being small, unfinished, or many.
  static let shapes: [(String, [SampleRun], [String])] = [
    ("a run", [SampleRun()], ofOneRun + ["runs"]),
    ("half-finished", [SampleRun(prompts: 1, isComplete: false)], ofOneRun),
    ("no prompt yet", [SampleRun(prompts: 0, isComplete: false, hasBlocks: false)], []),
    ("one prompt", [SampleRun(prompts: 1)], ofOneRun),
    ("no texts of tokens", [SampleRun(hasTexts: false)], ofOneRun + ["runs"]),
    ("one layer", [SampleRun(layers: 1)], ["run-1-norms", "run-1-paths", "run-1-spectra", "runs"]),
    (
      "one layer, one value", [SampleRun(layers: 1, prompts: 1, rank: 1)],
      ["run-1-norms", "run-1-paths"]
    ),
    ("two layers", [SampleRun(layers: 2, prompts: 1)], ofOneRun),
    ("one token", [SampleRun(prompts: 1, tokens: 1)], ofOneRun),
    (
      "nothing but tables", [SampleRun(prompts: 1, hasPicture: false, hasBlocks: false)],
      ["run-1-depth", "run-1-norms", "run-1-spectra"]
    ),
    ("many blocks", [SampleRun(layers: 40, prompts: 1, rank: 2)], ofOneRun),
    ("one value of each", [SampleRun(layers: 3, prompts: 1, rank: 1)], ofOneRun),
    (
      "no picture without the first token", [SampleRun(prompts: 1, hasOthersPicture: false)],
      ofOneRun
    ),
    ("the first prompt failed", [SampleRun(failed: [0])], ofOneRun + ["runs"]),
    ("every prompt failed", [SampleRun(prompts: 2, failed: [0, 1], hasBlocks: false)], []),
    (
      "tokens", [SampleRun(prompts: 2, kind: .tokens)],
      ["run-1-norms", "run-1-paths", "run-1-spectra", "run-1-tokens", "run-1-tokens-depth", "runs"]
    ),
    (
      "contexts", [SampleRun(layers: 9, prompts: 1, kind: .contextOutput)],
      ["run-1-norms", "run-1-paths", "run-1-spectra", "run-1-tokens", "run-1-tokens-depth"]
    ),
  ]

  @Test(arguments: shapes.indices)
  func drawsWhatThereIs(shape: Int) throws {
    let (_, samples, figures) = Self.shapes[shape]
    let made = try Made(samples)
    #expect(made.figures == figures.sorted())
    for name in figures {
      #expect(made.files.contains("\(name).svg") && made.files.contains("\(name).png"))
      #expect(made.page.contains("<figure id=\"\(name)\">"))
    }
    #expect(made.page.contains("Not finished") == !samples[0].isComplete)
    try expectSelfContained(made.page)
  }

  @Test(arguments: shapes.indices)
  func gnuplotHasNothingToComplainOf(shape: Int) throws {
    let scratch = try ScratchFolder()
    let report = try RunReport(try Self.shapes[shape].1.map { try $0.stored(in: scratch) })
    let folder = try ReportFolder(scratch["report"])
    for figure in report.sections.flatMap(\.figures) {
      #expect(try folder.draw(figure, by: try Gnuplot()) == "", "\(figure.name)")
      try expectEveryWord(of: figure, in: folder)
    }
  }

  /// gnuplot leaves out what of a key does not fit, and draws outside of the picture what stands there, without a warning.
  @Test func everyWordIsInThePicture() throws {
    let scratch = try ScratchFolder()
    let runs = try (0..<9).map { i in
      try SampleRun(
        name: "\(i) is a model of a rather long name, as checkpoints often have them, no. \(i)",
        layers: 3 + i % 3, isRandom: i == 4, step: i % 3 == 0 ? nil : 10 * i, seed: UInt64(i)
      ).stored(in: scratch)
    }
    let scores = ScoreColumn(
      name: "a score of a long name", source: "scores.csv",
      scores: runs.enumerated().reduce(into: [:]) {
        $0[$1.element.record.model.name] = Double($1.offset % 5)
      })
    let together = try RunReport(runs, scores: scores).sections[0].figures
    #expect(together.map(\.name) == ["runs", "correlation", "emergence"])
    let folder = try ReportFolder(scratch["report"])
    for figure in together {
      try folder.draw(figure, by: try Gnuplot())
      try expectEveryWord(of: figure, in: folder)
    }
  }

  /// Titles, names of axes and entries of keys are all drawn, and nothing is written outside.
  private func expectEveryWord(of figure: Figure, in folder: ReportFolder) throws {
    let drawing = try Drawing(try folder.picture(of: figure))
    let words = figure.script.matches(of: /(?:title|label) '([^']*)'/).map { String($0.1) }
    #expect(words.filter { !drawing.texts.contains($0) } == [], "\(figure.name)")
    #expect(drawing.outside == [], "\(figure.name)")
  }

  @Test func comparedRunsShareTheirColours() throws {
    let made = try Made([
      SampleRun(name: "a", seed: 1), SampleRun(name: "a", isRandom: true, seed: 2),
      SampleRun(name: "b", kind: .tokens, seed: 3),
    ])
    let ranges = { (name: String) in
      made.scripts["\(name).gp"]!.matches(of: /cbrange (\S+)/).map { String($0.1) }
    }
    #expect(ranges("run-1-depth") == ranges("run-2-depth"))
    #expect(ranges("run-1-blocks") == ranges("run-2-blocks"))
    // Tokens are compared with each other, which is another matter.
    #expect(ranges("run-3-tokens") != ranges("run-1-depth"))
    let alone = try Made([SampleRun(name: "a", seed: 1)])
    #expect(made.page.contains("Colours mean the same in all 2 runs"))
    #expect(!alone.page.contains("Colours mean the same"))
  }

  @Test func failedPromptsAreNamedAndLeftOut() throws {
    let made = try Made([SampleRun(failed: [1], text: "<b>bad</b>")])
    #expect(made.page.contains("prompt 2<bdi>, “&lt;b&gt;bad&lt;/b&gt;”</bdi>"))
    #expect(made.page.contains("at block 2, token 1: <bdi>the state overflowed</bdi>"))
    #expect(made.page.contains("<td>2, 1 failed</td>"))
    #expect(made.page.contains("mean over 2 prompts of sample"))
  }

  /// Whichever token's number it is, its name says so, and the last token's is the one that `align` prints.
  @Test func pathsAreNamedByTheirTokens() throws {
    let sample = SampleRun(prompts: 2)
    let made = try Made([sample])
    let statistics = sample.record.statistics
    for (tokens, name) in [(.last, "line-shape score, last token"), (.others, "other tokens")]
      as [(TrajectoryStatistic.Tokens, String)]
    {
      let mean = try #require(statistics.trajectory(.lineShapeScore, tokens)?.value.mean)
      #expect(made.page.contains("<th scope=\"col\">\(name)</th>"))
      #expect(made.page.contains("<td>\(short(mean)) ± "))
    }
    #expect(made.scripts["runs.gp"]!.contains("set xlabel 'expodistance, last token'"))
  }

  @Test func bothPicturesHaveTheirShares() throws {
    let both = try Made([SampleRun(prompts: 1)]).scripts["run-1-paths.gp"]!
    #expect(both.contains("first direction, 50.0 %") && both.contains("first direction, 37.5 %"))
    #expect(both.contains("without the first token"))
    let old = try Made([SampleRun(prompts: 1, hasOthersPicture: false)]).scripts["run-1-paths.gp"]!
    #expect(old.contains("second direction, 25.0 %") && !old.contains("without the first token"))
  }

  @Test func fiveRunsOfDifferentModels() throws {
    let made = try Made([
      SampleRun(name: "small", layers: 3, seed: 1),
      SampleRun(name: "small", layers: 3, isRandom: true, seed: 2),
      SampleRun(name: "large", layers: 6, seed: 3),
      SampleRun(name: "large", layers: 6, isRandom: true, seed: 4),
      SampleRun(name: "large", layers: 6, kind: .tokens, seed: 5),
    ])
    #expect(made.figures.contains("runs"))
    #expect((1...5).allSatisfy { made.figures.contains("run-\($0)-spectra") })
    #expect(made.page.contains("small, random weights"))
    try expectSelfContained(made.page)
  }

  @Test(arguments: [[0, 1, 10, 1000], [512, 1000, 2000], [0, 1], [1, 2]])
  func checkpointsShowEmergence(steps: [Int]) throws {
    let made = try Made(steps.map { SampleRun(step: $0, seed: UInt64($0)) })
    #expect(made.figures.contains("emergence"))
    #expect(made.scripts["emergence.gp"]!.contains("xtics add ('0'") == steps.contains(0))
  }

  @Test(arguments: [[0], [7], [7, 7]])
  func oneStepIsNoTraining(steps: [Int]) throws {
    let made = try Made(steps.map { SampleRun(step: $0) })
    #expect(!made.figures.contains("emergence"))
  }

  @Test(arguments: hostileTexts)
  func hostileTextDoesNothing(text: String) throws {
    let scratch = try ScratchFolder()
    let samples = [
      SampleRun(name: text, prompts: 1, step: 1, text: text),
      SampleRun(name: text + "2", prompts: 1, kind: .contextInput, step: 2, text: text),
    ]
    // As part of a path too, as far as a path can hold it.
    let name = String(text.replacing("/", with: "_").replacing("\0", with: "").prefix(20)) + "run"
    let run = name.utf8.count < 200 ? name : "run"
    let report = try RunReport(
      try samples.enumerated().map { try $1.stored(in: scratch, as: "\($0)\(run)") })
    try report.write(to: scratch["out \(run)"])
    let page = try String(contentsOfFile: scratch["out \(run)/index.html"], encoding: .utf8)
    try expectSelfContained(page)
    #expect(Set(scratch.contents) == ["0\(run)", "1\(run)", "out \(run)"])
    // Whatever the text is, gnuplot is told the same.
    let plain = try ["x", "y"].enumerated().map { i, name in
      var sample = samples[i]
      (sample.name, sample.text) = (name, name)
      return try sample.stored(in: scratch)
    }
    let scripts = { (report: RunReport) in report.sections.flatMap { $0.figures.map(\.script) } }
    let isSame = scripts(report) == scripts(try RunReport(plain))
    #expect(isSame)
  }

  @Test(arguments: ["mean", "<script>`id` \"%s\" $(x)"])
  func scoresOfThreeModelsAreHeldAgainstCoupling(column: String) throws {
    let scratch = try ScratchFolder()
    let names = ["a", "b", "c"]
    let runs = try names.enumerated().map {
      try SampleRun(name: $1, seed: UInt64($0)).stored(in: scratch)
    }
    let random = try SampleRun(name: "a", isRandom: true, seed: 7).stored(in: scratch)
    let scores = { (names: [String]) in
      ScoreColumn(
        name: column, source: "scores.csv",
        scores: names.enumerated().reduce(into: [:]) { $0[$1.element] = Double($1.offset) })
    }
    let report = try RunReport(runs + [random], scores: scores(names))
    try report.write(to: scratch["report"])
    let page = try String(contentsOfFile: scratch["report/index.html"], encoding: .utf8)
    try expectSelfContained(page)
    #expect(page.contains("<figure id=\"correlation\">") && page.contains("of 3 models"))
    #expect(throws: RunError.tooFewScored(count: 2, needed: 3, path: "scores.csv")) {
      try RunReport(runs, scores: scores(["a", "b"]))
    }
  }

  @Test func aFolderInUseIsLeftAlone() throws {
    let scratch = try ScratchFolder()
    let report = try RunReport([try SampleRun().stored(in: scratch, as: "run")])
    #expect(throws: ReportError.isRun(path: scratch["run"])) {
      try report.write(to: scratch["run"])
    }
    #expect(throws: RunError.self) { try report.write(to: "/proc/nothing/here") }
    #expect(scratch.contents == ["run"])
  }

  /// No script but the page's own, and no address but those of the files beside the page and of what it holds itself.
  private func expectSelfContained(_ page: String) throws {
    let scripts = page.components(separatedBy: "<script")
    #expect(scripts.count == 3)
    #expect(scripts[1].hasPrefix(" type=\"application/json\" id=\"data\">{"))
    #expect(scripts[2].hasPrefix(">\(PageScript.source)</script>\n</body>"))
    #expect(page.contains("script-src 'sha256-\(SHA256.base64(PageScript.source))'\">"))
    let data = scripts[1].drop { $0 != "{" }.prefix { $0 != "<" }
    #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(data.utf8)) }
    let lower = page.lowercased()
    #expect(!lower.contains("<iframe") && !lower.contains("<object"))
    #expect(!lower.contains("<img src=x"))
    let addresses = page.matches(of: /\b(?:src|href)="([^"]*)"/).map(\.1)
    #expect(
      addresses.allSatisfy {
        $0.hasPrefix("data:") || $0.hasPrefix("#")
          || $0.wholeMatch(of: /figures\/[a-z0-9-]+\.(svg|png|dat|gp)/) != nil
      })
    #expect(!page.contains("url(") && !page.contains("@import"))
  }
}

/// Records that contradict themselves.
struct DamagedRunTests {
  @Test func noRunIsNoReport() {
    #expect(throws: RunError.self) { try RunReport([]) }
  }

  @Test func pathsOfUnequalLengths() throws {
    let scratch = try ScratchFolder()
    var record = SampleRun().record
    record.prompts[1].trajectory.norms[2].removeLast()
    try FileManager.default.createDirectory(
      atPath: scratch["run"], withIntermediateDirectories: true)
    try scratch.write(try record.json(), to: "run/result.json")
    let run = try StoredRun(scratch["run"])
    let error = #expect(throws: RunError.self) { try RunReport([run]) }
    #expect("\(error!)".contains("prompt 2"))
  }

  @Test func aPictureOfTokensThatAreNotThere() throws {
    let scratch = try ScratchFolder()
    var record = SampleRun().record
    record.prompts[2].trajectory.pictureWithoutFirst?.points.removeLast()
    try FileManager.default.createDirectory(
      atPath: scratch["run"], withIntermediateDirectories: true)
    try scratch.write(try record.json(), to: "run/result.json")
    let run = try StoredRun(scratch["run"])
    let error = #expect(throws: RunError.self) { try RunReport([run]) }
    #expect("\(error!)".contains("prompt 3"))
  }

  @Test func blocksOfAnotherShape() throws {
    let scratch = try ScratchFolder()
    let run = try SampleRun(layers: 3).stored(in: scratch, as: "three")
    _ = try SampleRun(layers: 4).stored(in: scratch, as: "four")
    try FileManager.default.removeItem(atPath: scratch["three/couplings.safetensors"])
    try scratch.copy(scratch["four/couplings.safetensors"], as: "three/couplings.safetensors")
    #expect(throws: (any Error).self) { try RunReport([run]) }
  }
}
