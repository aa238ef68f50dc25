import Alignment
import Analysis
import Checkpoint
import Foundation
import Lanczos
import TestSupport
import Testing
import Weights

@testable import krylens

/// Every option changes what its help says, and nothing else.
struct OptionTests {
  static let llama = ModelFixture("llama")
  static let tokens = ["--token-ids", "5,3,9,7,11"]

  // MARK: Repetition

  /// The record without what differs from run to run: times and memory.
  private func timeless(_ record: RunRecord) throws -> Data {
    var record = record
    record.seconds.reading = nil
    for part in [\RunRecord.Seconds.total, \.load, \.solve, \.coupling] {
      record.seconds[keyPath: part] = 0
    }
    (record.peakMemoryBytes, record.peakPrivateBytes) = (0, 0)
    for p in record.prompts.indices {
      for l in record.prompts[p].layers.indices { record.prompts[p].layers[l].seconds = 0 }
    }
    return try record.json()
  }

  @Test(arguments: SolverKind.allCases)
  func sameSeedSameBytes(solver: SolverKind) throws {
    let options =
      Self.tokens + ["--token-ids", "1,2", "--top", "6", "--solver", solver.rawValue]
      + ["--threads", "2", "--seed", "7"]
    let runs = try (0..<2).map { _ in try Command.align(ModelFixture("odd").folder, options) }
    #expect(try timeless(runs[0].record) == timeless(runs[1].record))
    #expect(runs[0].table == runs[1].table)
    for file in ["coupling.csv", "singular_values.csv", "trajectory.csv", "triplets.safetensors"] {
      let bytes = try runs.map { try Data(contentsOf: URL(filePath: "\($0.folder)/\(file)")) }
      #expect(bytes[0] == bytes[1], "\(file)")
    }
  }

  private func expectAgreement(
    _ a: PromptRecord, _ b: PromptRecord, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    #expect(a.tokenIds == b.tokenIds && a.nextTokenId == b.nextTokenId)
    #expect(a.layers.count == b.layers.count && a.coupling.count == b.coupling.count)
    for (x, y) in zip(a.layers, b.layers) {
      #expect(x.layer == y.layer && x.fromToken == y.fromToken && x.toToken == y.toToken)
      for (s, t) in zip(x.singularValues, y.singularValues) {
        #expect(abs(s - t) <= 1e-5 * x.singularValues[0], sourceLocation: sourceLocation)
      }
    }
    for (x, y) in zip(a.trajectory.norms.joined(), b.trajectory.norms.joined()) {
      #expect(abs(x - y) <= 1e-5 * x, sourceLocation: sourceLocation)
    }
    for (x, y) in zip(a.coupling, b.coupling) {
      #expect(x.setting == y.setting)
      for (s, t) in zip(x.matrix.joined(), y.matrix.joined()) {
        // Vectors turn by tolerance / gap; the values of this fixture lie 10⁻² apart or more.
        #expect(
          abs(try #require(s) - (try #require(t))) <= 2e-3, sourceLocation: sourceLocation)
      }
    }
  }

  @Test func threadsAgreeToRounding() throws {
    let runs = try ["1", "2"].map {
      try Command.align(Self.llama.folder, Self.tokens + ["--top", "4", "--threads", $0])
    }
    #expect(runs.map(\.record.settings.threads) == [1, 2])
    try expectAgreement(runs[0].record.prompts[0], runs[1].record.prompts[0])
  }

  @Test(arguments: SolverKind.allCases)
  func promptsTogetherAreThePromptsApart(solver: SolverKind) throws {
    // More prompts than one group holds, so that there are two groups, and of different lengths.
    let prompts = (0..<19).map { i in (0...(2 + i % 5)).map { (7 * i + 3 * $0) % 61 } }
    let options = ["--top", "4", "--solver", solver.rawValue]
    let together = try Command.align(
      Self.llama.folder, options + prompts.flatMap { ["--token-ids", $0.list] })
    #expect(together.record.prompts.map(\.tokenIds) == prompts)
    for i in [0, 4, 15, 16, 18] {
      let alone = try Command.align(
        Self.llama.folder, options + ["--token-ids", prompts[i].list])
      try expectAgreement(together.record.prompts[i], alone.record.prompts[0])
    }
  }

  @Test func theSeedIsThatOfTheStartVector() throws {
    let runs = try ["0", "1"].map {
      try Command.align(Self.llama.folder, Self.tokens + ["--top", "4", "--seed", $0])
    }
    try expectAgreement(runs[0].record.prompts[0], runs[1].record.prompts[0])
    #expect(
      runs[0].record.prompts[0].layers.map(\.residualNorms)
        != runs[1].record.prompts[0].layers.map(\.residualNorms))
  }

  @Test func toleranceIsKeptAndRecorded() throws {
    for tolerance in [1e-2, 1e-6] {
      let run = try Command.align(
        Self.llama.folder, Self.tokens + ["--top", "4", "--tolerance", "\(tolerance)"])
      #expect(run.record.settings.tolerance == tolerance)
      for layer in run.record.prompts[0].layers where layer.converged {
        #expect(layer.residualNorms.allSatisfy { $0 <= tolerance * layer.singularValues[0] })
      }
    }
    // Below what single precision can reach: reported with a remedy, not as an error; or continued in double precision.
    let options = Self.tokens + ["--top", "4", "--tolerance", "1e-12"]
    let strict = try Command.align(Self.llama.folder, options + ["--precision", "single"])
    #expect(strict.record.prompts[0].layers.contains { !$0.converged && $0.remedy != nil })
    #expect(strict.finished.output.contains("not converged"))
    #expect(strict.finished.output.contains("raise --tolerance"))
    let precise = try Command.align(Self.llama.folder, options).record.prompts[0].layers
    #expect(precise.allSatisfy { $0.converged && $0.precision == .double })
  }

  // MARK: What is shown

  @Test func quietPrintsNothing() throws {
    let run = try Command.align(Self.llama.folder, Self.tokens + ["--quiet"])
    #expect(run.finished.output.isEmpty && run.finished.error.isEmpty)
    // Without a terminal there is no bar, but the choice among the folder's two sets of weights is printed.
    let loud = try Command.align(Self.llama.folder, Self.tokens)
    #expect(!loud.finished.output.isEmpty)
    let lines = loud.finished.error.split(separator: "\n")
    #expect(lines.count == 1, "\(loud.finished.error)")
    #expect(
      lines[0].contains("from model.safetensors, ") && lines[0].contains(" not from model.gguf"))
    #expect(!loud.finished.output.contains("\u{1B}"))
  }

  @Test func likePaper() throws {
    let model = try TextModel.path.get()
    let settings = try Command.align(model, ["-p", "one two", "--like-paper"]).record.settings
    #expect(settings.likePaper && settings.top == 50 && settings.ranks == [10, 30, 50])
    #expect(settings.sign == .absolute && settings.last == .normed)
    #expect(settings.diagonal == .included)
    // Options given beside it take precedence.
    let mixed = try Command.align(
      model, ["-p", "one two", "--like-paper", "--sign", "signed", "--ranks", "3"]
    ).record.settings
    #expect(mixed.likePaper && mixed.sign == .signed && mixed.ranks == [3] && mixed.top == 10)
    #expect(mixed.last == .normed)
  }

  @Test func rankShare() throws {
    for (share, rank, top) in [("0.25", 6, 10), ("0.3", 7, 10), ("0.5", 12, 12), ("1", 24, 24)] {
      let settings = try Command.align(
        Self.llama.folder, Self.tokens + ["--rank-share", share]
      ).record.settings
      #expect(settings.ranks == [rank] && settings.top == top && settings.rankShare != nil)
    }
  }

  @Test func ranksAreTakenOnceAndInOrder() throws {
    let record = try Command.align(Self.llama.folder, Self.tokens + ["--ranks", "4, 2,4"]).record
    #expect(record.settings.ranks == [2, 4] && record.settings.top == 10)
    #expect(record.prompts[0].coupling.count == 8)
  }

  @Test func layersRestrictWhatIsLinearized() throws {
    let all = try Command.align(Self.llama.folder, Self.tokens + ["--top", "4"]).record.prompts[0]
    let some = try Command.align(
      Self.llama.folder, Self.tokens + ["--top", "4", "--layers", "3,1"]
    ).record.prompts[0]
    #expect(some.layers.map(\.layer) == [1, 3])
    #expect(some.coupling.allSatisfy { $0.rows == [1, 3] && $0.columns == [1, 3] })
    #expect(some.layers.map(\.singularValues) == [0, 2].map { all.layers[$0].singularValues })
    #expect(some.coupling[0].matrix[0][1] == all.coupling[0].matrix[0][2])
    #expect(some.trajectory.norms == all.trajectory.norms)
    #expect(some.trajectory.linearisedPathCosine == nil)
    #expect(all.trajectory.linearisedPathCosine != nil)
  }

  @Test func tokensWithoutAStateHaveNoGrowth() throws {
    // Padding is often embedded as zeros.
    let scratch = try ScratchFolder()
    try FileManager.default.createDirectory(
      atPath: scratch["model"], withIntermediateDirectories: false)
    try scratch.copy(Self.llama.folder + "/config.json", as: "model/config.json")
    let file = try SafetensorsFile(Self.llama.folder + "/model.safetensors")
    try SafetensorsWriter.write(
      file.tensors.map { info in
        var numbers = try file.tensor(info.name).numbers()
        if info.name.hasSuffix("embed_tokens.weight") {
          numbers.replaceSubrange(0..<24, with: repeatElement(0, count: 24))
        }
        return (.init(name: info.name, shape: info.shape), numbers)
      }, to: scratch["model/model.safetensors"])
    let run = try Command.align(scratch["model"], ["--token-ids", "5,0,7", "--top", "3"])
    let t = run.record.prompts[0].trajectory
    #expect(t.norms[0][1] == 0)
    #expect(t.growth.map { $0 == nil } == [false, true, false])
    #expect(t.expodistance.map { $0 == nil } == [false, true, false])
    #expect(t.lineShapeScore.count == 3)
  }

  // MARK: Text

  @Test func promptsThatLookLikeOptions() throws {
    let model = try TextModel.path.get()
    let texts = ["-x", "--quiet", "-p", "-", " -1"]
    let record = try Command.align(
      model, texts.flatMap { ["-p", $0] } + ["--prompt=--top", "--prompt=--", "--top", "2"]
    ).record
    // `--` alone ends the options wherever it stands by itself, so it needs the other spelling.
    #expect(record.prompts.map(\.text) == texts + ["--top", "--"])
    #expect(record.settings.top == 2)
    for prompt in record.prompts {
      #expect(prompt.tokenIds?.isEmpty == false && prompt.nextToken != nil)
    }
  }

  @Test func textIsByteExact() throws {
    let texts = ["e\u{301}", "\u{E9}", "a\tb", "\u{1F600} \u{202E}x"]
    let run = try Command.align(
      try TextModel.path.get(), texts.flatMap { ["-p", $0] } + ["--top", "2"])
    for (prompt, text) in zip(run.record.prompts, texts) {
      #expect(Array((prompt.text ?? "").utf8) == Array(text.utf8))
    }
    // Control characters are escaped.
    #expect(!run.finished.output.contains("\u{202E}") && !run.finished.output.contains("\t"))
  }

  @Test func promptFiles() throws {
    let scratch = try ScratchFolder()
    let model = try TextModel.path.get()
    let text = try scratch.write(
      "\u{FEFF}first line\r\n\n  second\u{2028}line  \n-third".utf8, to: "a.txt")
    let lines = try scratch.write(
      """
      {"text": "one", "id": 1}
      {"prompt": "two\u{2028}lines", "text": null}

      {"text": "tab\\tand \\u00e9"}\r

      """.utf8, to: "b.jsonl")
    func texts(_ options: [String]) throws -> [String?] {
      try Command.align(model, options + ["--top", "2"]).record.prompts.map(\.text)
    }
    #expect(try texts(["--prompts", text]) == ["first line", "  second\u{2028}line  ", "-third"])
    #expect(
      try texts(["--prompts", lines]) == ["one", "two\u{2028}lines", "tab\tand \u{E9}"])
    // Texts, then the file's, then token ids.
    #expect(
      try texts(["--token-ids", "1,2", "--prompts", lines, "-p", "zero"])
        == ["zero", "one", "two\u{2028}lines", "tab\tand \u{E9}", nil])
  }

  // MARK: Models

  @Test func hubNamesLieInTheCache() throws {
    let scratch = try ScratchFolder()
    let files = FileManager.default
    let model = "hub/models--org--tiny"
    let snapshot = "\(model)/snapshots/0123abc"
    for folder in [snapshot, "\(model)/blobs", "\(model)/refs"] {
      try files.createDirectory(atPath: scratch[folder], withIntermediateDirectories: true)
    }
    try scratch.write("0123abc".utf8, to: "\(model)/refs/main")
    for file in ["config.json", "model.safetensors"] {
      try files.copyItem(
        atPath: "\(Self.llama.folder)/\(file)", toPath: scratch["\(model)/blobs/\(file)"])
      try files.createSymbolicLink(
        atPath: scratch["\(snapshot)/\(file)"], withDestinationPath: "../../blobs/\(file)")
    }
    for environment in [
      ["HF_HUB_CACHE": scratch["hub"]], ["HF_HOME": scratch.path, "HF_HUB_CACHE": ""],
    ] {
      let run = try Command.align(
        "org/tiny", Self.tokens + ["--top", "2"], environment: environment)
      #expect(run.record.model.name == "org/tiny" && run.record.model.layers == 3)
    }
  }

  @Test func namesOfModels() throws {
    let options = Self.tokens + ["--top", "2"]
    #expect(try Command.align(Self.llama.gguf, options).record.model.name == "model")
    #expect(try Command.align(Self.llama.folder + "/", options).record.model.name == "llama")
    #expect(
      try Command.align(Self.llama.folder, options + ["--name", "org/x"]).record.model.name
        == "org/x")
  }

  // MARK: The rest of the command

  @Test func helpVersionAndCompletions() throws {
    let scratch = try ScratchFolder()
    let version = try Command.run(["--version"], in: scratch)
    #expect(version.status == 0 && version.output == "\(Krylens.configuration.version)\n")
    for arguments in [["--help"], ["help", "align"], ["align", "--help"], []] {
      let help = try Command.run(arguments, in: scratch)
      #expect(help.status == 0 && help.error.isEmpty && help.output.contains("USAGE: krylens"))
      #expect(help.output.split(separator: "\n").allSatisfy { $0.count <= 100 })
    }
    let options = try Command.run(["align", "--help"], in: scratch).output
    for name in [
      "--prompt", "--prompts", "--token-ids", "--top", "--ranks", "--rank-share", "--layers",
      "--from-token", "--to-token", "--site", "--last", "--solver", "--tolerance", "--seed",
      "--sign", "--normalisation", "--form", "--score", "--diagonal", "--like-paper",
      "--max-memory", "--name", "--threads", "--output", "--save-hidden-states", "--quiet",
    ] {
      #expect(options.contains(name))
    }
    for shell in ["bash", "zsh", "fish"] {
      let script = try Command.run(["--generate-completion-script", shell], in: scratch)
      #expect(script.status == 0 && script.output.contains("align"))
    }
    #expect(scratch.contents.isEmpty)
  }

  @Test func infoSaysWhatAModelIs() throws {
    let scratch = try ScratchFolder()
    for model in [Self.llama.folder, Self.llama.gguf] {
      let info = try Command.run(["info", model], in: scratch)
      #expect(info.status == 0 && info.error.isEmpty)
      for word in ["llama", "24", "17784", "F32", "61"] {
        #expect(info.output.contains(word), "\(word)")
      }
    }
    let none = try Command.run(["info", scratch["none"]], in: scratch)
    #expect(none.status == 1 && none.complaints.count == 1 && none.output.isEmpty)
  }

  @Test func planTakesTheSameOptionsAndWritesNothing() throws {
    let scratch = try ScratchFolder()
    let plan = try Command.run(
      ["plan", Self.llama.folder, "-o", "run", "--top", "4"] + Self.tokens, in: scratch)
    #expect(plan.status == 0 && plan.complaints.isEmpty && scratch.contents.isEmpty)
    #expect(plan.output.contains("peak") && plan.output.contains("passes"))
    #expect(!plan.output.contains("groups"))
    let groups = try Command.run(
      ["plan", Self.llama.folder, "--top", "4"]
        + (0..<40).flatMap { ["--token-ids", "\($0),2,3"] }, in: scratch)
    #expect(groups.output.contains("for all 3 groups"), "\(groups.output)")
    let wrong = try Command.run(
      ["plan", Self.llama.folder, "--top", "25"] + Self.tokens, in: scratch)
    #expect(wrong.status == 64 && wrong.error.contains("--top 25"))
  }

  // MARK: Random weights

  /// Random weights are another model under another name, the same for the same seed, and leave nothing on disk.
  @Test(arguments: ["llama", "llama/model.gguf", "llama/bf16"])
  func randomInit(_ model: String) throws {
    let path = Self.llama.folder + model.dropFirst("llama".count)
    let temporary = try ScratchFolder()
    let options = Self.tokens + ["--top", "4"]
    let align = { (more: [String]) in
      try Command.align(path, options + more, environment: ["TMPDIR": temporary.path])
    }
    let (trained, random) = (try align([]), try align(["--random-init"]))
    let record = random.record
    #expect(record.settings.randomInit && !trained.record.settings.randomInit)
    #expect(record.model.name == "\(trained.record.model.name) (random)")
    #expect(record.model.storedTypes == trained.record.model.storedTypes)
    #expect(record.model.parameters == trained.record.model.parameters)
    #expect(random.finished.output.contains("(random)"))
    for (a, b) in zip(record.prompts[0].layers, trained.record.prompts[0].layers) {
      #expect(abs(a.singularValues[0] / b.singularValues[0] - 1) > 1e-2)
    }
    #expect(try timeless(align(["--random-init"]).record) == timeless(record))
    let other = try align(["--random-init", "--seed", "1", "--name", "other"]).record
    #expect(other.model.name == "other")
    #expect(
      other.prompts[0].layers[0].singularValues[0] != record.prompts[0].layers[0].singularValues[0])
    #expect(temporary.contents.isEmpty)
  }

  // MARK: Environment

  /// The environment chooses among the processor's instruction sets, and the record names the one that was used.
  @Test func instructionSetIsChosenByTheEnvironment() throws {
    let variable = Engine.InstructionSet.variable
    for set in Engine.InstructionSet.allCases
    where set.rawValue <= Engine.InstructionSet.best.rawValue {
      let run = try Command.align(
        Self.llama.folder, Self.tokens + ["--top", "2"], environment: [variable: set.name])
      #expect(run.record.computedWith?.map(\.instructionSet) == [set.name])
    }
    let scratch = try ScratchFolder()
    for arguments in [["align", Self.llama.folder] + Self.tokens, ["bench", Self.llama.folder]] {
      let refused = try Command.run(arguments, in: scratch, environment: [variable: "avx1024"])
      #expect(refused.status == 64)
      #expect(refused.error.contains("\(variable)=avx1024: names no instruction set"))
      #expect(refused.error.contains("portable"))
    }
  }
}
