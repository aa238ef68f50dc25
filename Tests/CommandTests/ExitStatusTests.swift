import Foundation
import Synchronization
import TestSupport
import Testing

/// A request that cannot be met ends with its status, one clear message, and nothing left behind.
struct ExitStatusTests {
  static let tokens = ["--token-ids", "1,2,3,4"]

  /// Runs `krylens align` into `out/run`, expects it to fail, and checks the failure against the rules.
  private func expectFailure(
    _ status: Int32, _ model: String, _ options: [String], names: [String],
    in scratch: ScratchFolder? = nil, environment: [String: String] = [:],
    output: String = "out/run", sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let scratch = try scratch ?? ScratchFolder()
    let before = scratch.contents
    let finished = try Command.run(
      ["align", model, "-o", output] + options, in: scratch, environment: environment)
    #expect(finished.status == status, "\(finished.error)", sourceLocation: sourceLocation)
    #expect(finished.output.isEmpty, sourceLocation: sourceLocation)
    #expect(scratch.contents == before, sourceLocation: sourceLocation)
    let messages = finished.complaints.filter { $0.hasPrefix("Error: ") }
    #expect(messages.count == 1, "\(finished.error)", sourceLocation: sourceLocation)
    if status == 1 {
      #expect(finished.complaints.count == 1, "\(finished.error)", sourceLocation: sourceLocation)
      // The message says what is wrong and then what to do.
      #expect(finished.error.contains("; "), "\(finished.error)", sourceLocation: sourceLocation)
    }
    for name in names {
      #expect(
        finished.error.contains(name), "\(name): \(finished.error)", sourceLocation: sourceLocation)
    }
  }

  // MARK: Options

  struct Wrong: Sendable, CustomTestStringConvertible {
    let options: [String]
    let names: [String]
    var testDescription: String { options.joined(separator: " ") }
    init(_ options: String..., names: [String]) { (self.options, self.names) = (options, names) }
  }

  static let wrongOptions = [
    Wrong("--top", "0", names: ["--top 0", "width"]),
    Wrong("--top", "25", names: ["--top 25", "24"]),
    Wrong("--top", "ten", names: ["--top", "ten"]),
    Wrong("--top", "5", "--ranks", "6", names: ["--ranks 6", "--top", "5"]),
    Wrong("--ranks", "0", names: ["--ranks 0"]),
    Wrong("--ranks", "0,3", names: ["--ranks 0"]),
    Wrong("--ranks", "", names: ["--ranks"]),
    Wrong("--rank-share", "0", names: ["--rank-share"]),
    Wrong("--rank-share", "0.01", names: ["--rank-share 0.01", "24"]),
    Wrong("--rank-share", "0.1", "--ranks", "2", names: ["--rank-share", "--ranks"]),
    Wrong("--layers", "99", names: ["--layers 99", "1 to 3"]),
    Wrong("--layers", "0", names: ["--layers 0", "1 to 3"]),
    Wrong("--layers", "5-2", names: ["--layers", "5-2"]),
    Wrong("--layers", "1,,2", names: ["--layers", "1,,2"]),
    Wrong("--layers", "1-2-3", names: ["--layers", "1-2-3"]),
    Wrong("--layers", "3", "--last", "drop", names: ["--layers"]),
    Wrong("--last", "normed", "--site", "mlp", names: ["--last normed", "--site"]),
    Wrong(
      "--from-token", "3", "--to-token", "1", names: ["--to-token 1", "--from-token 3", "causal"]),
    Wrong("--from-token", "4", names: ["--from-token 4", "0 to 3"]),
    Wrong("--to-token", "-5", names: ["--to-token -5", "0 to 3"]),
    Wrong("--from-token", "first", names: ["--from-token", "first"]),
    Wrong("--tolerance", "0", names: ["--tolerance", "between 0 and 1"]),
    Wrong("--tolerance", "nan", names: ["--tolerance", "between 0 and 1"]),
    Wrong("--solver", "magic", names: ["--solver", "magic", "dense"]),
    Wrong("--normalisation", "p=0.5", names: ["--normalisation", "p=0.5"]),
    Wrong("--seed", "1.5", names: ["--seed", "1.5"]),
    Wrong("--threads", "0", names: ["--threads 0"]),
    Wrong("--max-memory", "lots", names: ["--max-memory", "lots"]),
    Wrong("--max-memory", "1kB", names: ["--max-memory 1.0 kB", " MB, the largest part for"]),
    Wrong("--colour", "red", names: ["--colour"]),
    Wrong("--prompts", "", names: ["--prompts"]),
    Wrong("--token-ids", "", names: ["--token-ids"]),
    Wrong("--token-ids", "1 2,3", names: ["--token-ids", "1 2,3"]),
    Wrong("--token-ids", "1,b", names: ["--token-ids", "1,b"]),
  ]

  @Test(arguments: wrongOptions)
  func wrongUsage(wrong: Wrong) throws {
    let options = wrong.options.contains("--token-ids") ? [] : Self.tokens
    try expectFailure(64, ModelFixture("llama").folder, options + wrong.options, names: wrong.names)
  }

  @Test func nothingToRun() throws {
    try expectFailure(64, ModelFixture("llama").folder, [], names: ["--prompt", "--token-ids"])
    let bare = try Command.run(["align"], in: try ScratchFolder())
    #expect(bare.status == 64 && bare.error.contains("model"))
    let unknown = try Command.run(["allign"], in: try ScratchFolder())
    #expect(unknown.status == 64 && unknown.error.contains("allign"))
  }

  // MARK: Prompts

  @Test func tokensTheModelDoesNotHave() throws {
    let folder = ModelFixture("llama").folder
    try expectFailure(1, folder, ["--token-ids", "1,61"], names: ["61", "0 to 60"])
    try expectFailure(1, folder, ["--token-ids", "-1,2"], names: ["-1", "0 to 60"])
    let long = Array(repeating: 5, count: 65).list
    try expectFailure(1, folder, ["--token-ids", long], names: ["65 tokens", "64"])
  }

  @Test func textWithoutTokenizer() throws {
    let fixture = ModelFixture("llama")
    try expectFailure(1, fixture.folder, ["-p", "x"], names: ["tokenizer.json", "--token-ids"])
    try expectFailure(1, fixture.gguf, ["-p", "x"], names: ["tokenizer", "--token-ids"])
  }

  @Test func emptyText() throws {
    try expectFailure(1, try TextModel.path.get(), ["-p", ""], names: ["prompt 1 is empty"])
    try expectFailure(
      1, try TextModel.path.get(), ["-p", "x", "-p", ""], names: ["prompt 2 is empty"])
  }

  @Test func promptFiles() throws {
    let scratch = try ScratchFolder()
    let model = try TextModel.path.get()
    let cases: [(String, [UInt8], Int32, [String])] = [
      ("latin.txt", [0x61, 0x0A, 0xE9, 0x0A], 1, ["latin.txt", "line 2", "UTF-8"]),
      ("empty.txt", [], 1, ["empty.txt", "empty"]),
      ("blank.txt", Array("\n \n".utf8), 64, ["blank.txt", "no prompt"]),
      ("broken.jsonl", Array("{\"text\": \"a\"}\n{\"text\":\n".utf8), 1, ["broken.jsonl, line 2"]),
      (
        "other.jsonl", Array("{\"text\": \"a\"}\n{\"body\": \"b\"}\n".utf8), 64, ["line 2", "text"]
      ),
      ("number.jsonl", Array("{\"text\": 3}".utf8), 64, ["number.jsonl", "line 1"]),
    ]
    for (name, bytes, status, names) in cases {
      let path = try scratch.write(bytes, to: name)
      try expectFailure(status, model, ["--prompts", path], names: names, in: scratch)
    }
    try expectFailure(1, model, ["--prompts", "none.txt"], names: ["none.txt"])
  }

  // MARK: Models

  @Test func nothingThere() throws {
    let scratch = try ScratchFolder()
    try expectFailure(1, scratch["none"], Self.tokens, names: [scratch["none"], "no such file"])
    try expectFailure(
      1, "org/none", Self.tokens, names: ["org/none", scratch.path], in: scratch,
      environment: ["HF_HUB_CACHE": scratch.path])
    try expectFailure(1, scratch.path, Self.tokens, names: [scratch.path, "config.json"])
  }

  struct Damage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let file: String
    let names: [String]
    let edit: @Sendable (inout [UInt8]) -> Void
  }

  static let damages = [
    Damage(
      testDescription: "truncated safetensors", file: "model.safetensors",
      names: ["model.safetensors"]
    ) { $0.removeLast($0.count / 3) },
    Damage(
      testDescription: "safetensors cut within its header", file: "model.safetensors",
      names: ["model.safetensors"]
    ) { $0.removeLast($0.count - 100) },
    Damage(testDescription: "empty weights", file: "model.safetensors", names: ["empty"]) {
      $0 = []
    },
    Damage(testDescription: "truncated GGUF", file: "model.gguf", names: ["model.gguf"]) {
      $0.removeLast($0.count / 3)
    },
    Damage(testDescription: "GGUF cut within its header", file: "model.gguf", names: ["model.gguf"])
    { $0.removeLast($0.count - 100) },
    Damage(
      testDescription: "unknown architecture", file: "config.json",
      names: ["config.json", "zlama", "supported"]
    ) { $0.replace("\"model_type\": \"llama\"", with: "\"model_type\": \"zlama\"") },
    Damage(
      testDescription: "configuration of another kind", file: "config.json",
      names: ["config.json", "num_hidden_layers"]
    ) { $0.replace("\"num_hidden_layers\": 3", with: "\"num_hidden_layers\": -3") },
    Damage(
      testDescription: "configuration that is not JSON", file: "config.json", names: ["config.json"]
    ) { $0.removeLast(5) },
    Damage(
      testDescription: "missing tensor", file: "model.safetensors",
      names: ["model.safetensors", "model.layers.1.mlp.up_proj.weight"]
    ) { $0.replace("layers.1.mlp.up_proj", with: "layers.1.mlp.op_proj") },
    Damage(
      testDescription: "wrong shape", file: "config.json",
      names: ["model.safetensors", "mlp", "[44, 24]"]
    ) { $0.replace("\"intermediate_size\": 44", with: "\"intermediate_size\": 45") },
    // Norms are read on opening; the last four bytes are the final one's.
    Damage(
      testDescription: "NaN in a norm", file: "model.safetensors",
      names: ["model.norm.weight", "NaN"]
    ) { $0.replaceSubrange($0.count - 4..<$0.count, with: [0xFF, 0xFF, 0xFF, 0xFF]) },
    // Matrices are not; this one is 3552 to 5856 bytes before the end.
    Damage(
      testDescription: "NaN in a matrix", file: "model.safetensors",
      names: ["model.layers.2.self_attn.o_proj.weight", "NaN"]
    ) { $0.replaceSubrange($0.count - 4000..<$0.count - 3996, with: [0xFF, 0xFF, 0xFF, 0xFF]) },
  ]

  @Test(arguments: damages)
  func damagedModels(damage: Damage) throws {
    let scratch = try ScratchFolder()
    let fixture = ModelFixture("llama")
    var model = scratch["model"]
    try FileManager.default.createDirectory(atPath: model, withIntermediateDirectories: false)
    for file in ["config.json", "model.safetensors", "model.gguf"] {
      var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(fixture.folder)/\(file)")))
      if file == damage.file {
        let before = bytes
        damage.edit(&bytes)
        #expect(bytes != before)
      }
      try scratch.write(bytes, to: "model/\(file)")
    }
    if damage.file == "model.gguf" { model += "/model.gguf" }
    try expectFailure(1, model, Self.tokens, names: damage.names, in: scratch)
  }

  // MARK: Output

  @Test func outputThatIsTaken() throws {
    let scratch = try ScratchFolder()
    let model = ModelFixture("llama").folder
    try scratch.write(Array("kept".utf8), to: "file")
    try expectFailure(
      1, model, Self.tokens, names: ["file", "--output"], in: scratch, output: "file")
    // A file where a folder should be.
    for output in ["file/run", "file/on/the/way"] {
      try expectFailure(
        1, model, Self.tokens, names: [output, "Not a directory", "--output"], in: scratch,
        output: output)
    }
    try FileManager.default.createDirectory(
      atPath: scratch["full/of"], withIntermediateDirectories: true)
    try expectFailure(
      1, model, Self.tokens, names: ["full", "not empty", "--output"], in: scratch, output: "full")
    #expect(try String(contentsOfFile: scratch["file"], encoding: .utf8) == "kept")
    // A file system of the kernel, where not even root can create folders.
    #if os(Linux)
      try expectFailure(1, model, Self.tokens, names: ["/proc/run"], output: "/proc/run")
    #endif
  }

  @Test func outputThatIsEmptyOrDeepIsFine() throws {
    let scratch = try ScratchFolder()
    try FileManager.default.createDirectory(
      atPath: scratch["empty"], withIntermediateDirectories: true)
    for output in ["empty", "a/b/c/", "./a/b/../d"] {
      let finished = try Command.run(
        ["align", ModelFixture("llama").folder, "-o", output, "--threads", "1"] + Self.tokens,
        in: scratch)
      #expect(finished.status == 0, "\(finished.error)")
      #expect(FileManager.default.fileExists(atPath: scratch["\(output)/result.json"]))
    }
    #expect(scratch.contents == ["a", "empty"])
  }

  @Test func defaultOutput() throws {
    let scratch = try ScratchFolder()
    let finished = try Command.run(
      ["align", ModelFixture("llama").folder, "--name", "org/a b"] + Self.tokens, in: scratch)
    #expect(finished.status == 0 && scratch.contents == ["krylens-runs"])
    let runs = try FileManager.default.contentsOfDirectory(atPath: scratch["krylens-runs"])
    #expect(runs.count == 1 && runs.allSatisfy { $0.hasPrefix("org-a-b-") })
  }

  /// A limit on the size of a file takes effect like a full disk: in write(2), after all the work.
  @Test func filesThatMustNotGrow() throws {
    let scratch = try ScratchFolder()
    let finished = try Command.run(
      [
        "-c", "ulimit -f 8; exec \"$0\" \"$@\"", Command.executable, "align",
        ModelFixture("llama").folder, "-o", "out/run",
      ] + Self.tokens, executable: "/bin/sh", in: scratch)
    #expect(finished.status == 1 && finished.output.isEmpty)
    #expect(finished.complaints.count == 1 && finished.error.contains("out/run"))
    #expect(finished.error.contains("--output") && scratch.contents.isEmpty)
  }

  /// The same for the place of random weights, before any work.
  @Test func randomWeightsThatMustNotGrow() throws {
    let (scratch, temporary) = (try ScratchFolder(), try ScratchFolder())
    let finished = try Command.run(
      [
        "-c", "ulimit -f 8; exec \"$0\" \"$@\"", Command.executable, "align",
        ModelFixture("llama").folder, "-o", "run", "--random-init",
      ] + Self.tokens, executable: "/bin/sh", in: scratch,
      environment: ["TMPDIR": temporary.path])
    #expect(finished.status == 1 && finished.output.isEmpty)
    #expect(finished.complaints.count == 1 && finished.error.contains(temporary.path))
    #expect(finished.error.contains("TMPDIR") && scratch.contents.isEmpty)
    #expect(temporary.contents.isEmpty)
  }

  /// A 64 kB disk in memory, if the tests may mount one.
  @Test func fullDisk() throws {
    #if os(Linux)
      let scratch = try ScratchFolder()
      let disk = scratch["disk"]
      try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: false)
      guard mount("tmpfs", disk, "tmpfs", 0, "size=64k") == 0 else {
        print("fullDisk is skipped: no file system can be mounted here")
        return
      }
      defer { umount(disk) }
      let arguments =
        [
          "align", ModelFixture("llama").folder, "-o", "disk/out/run", "--top", "24", "--ranks",
          "3,6,12,24",
        ] + Self.tokens
      let finished = try Command.run(arguments, in: scratch)
      #expect(finished.status == 1 && finished.output.isEmpty, "\(finished.error)")
      #expect(finished.complaints.count == 1 && finished.error.contains("No space left"))
      #expect(finished.error.contains("disk/out/run") && finished.error.contains("--output"))
      // With more room, the same command reuses what was finished.
      #expect(mount("tmpfs", disk, "tmpfs", 32 /* MS_REMOUNT */, "size=16m") == 0)
      let again = try Command.run(arguments, in: scratch)
      #expect(again.status == 0, "\(again.error)")
      #expect(FileManager.default.fileExists(atPath: "\(disk)/out/run/result.json"))
      #expect(!FileManager.default.fileExists(atPath: "\(disk)/out/run/partial"))
    #else
      print("fullDisk is skipped: it mounts as Linux does")
    #endif
  }

  // MARK: Interrupts

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP]) func interrupt(_ signal: Int32) throws {
    let scratch = try ScratchFolder()
    // Work for some minutes, in many small steps.
    let work = Array(repeating: ["--token-ids", "1,2,3,4,5,6,7,8"], count: 3000).flatMap { $0 }
    let finished = try Command.run(
      ["align", ModelFixture("odd").folder, "-o", "out/run", "--solver", "dense"] + work,
      in: scratch
    ) { process in
      try waitForHandler(of: process)
      kill(process.processIdentifier, signal)
    }
    #expect(finished.status == 128 + signal && finished.output.isEmpty)
    #expect(finished.complaints.count == 1 && finished.error.contains("interrupted"))
    // Either nothing was finished yet, or the message says how to resume.
    #expect(
      scratch.contents.isEmpty
        || finished.error.contains("the same command with --output out/run resumes the run"))
  }

  /// Neither a half-written file nor its folder is left.
  @Test(arguments: [SIGINT, SIGTERM]) func interruptedSynthesis(_ signal: Int32) throws {
    let scratch = try ScratchFolder()
    let finished = try Command.run(
      ["synthesize", "--like", "smollm2-135m", "--layers", "8", "--dtype", "f32", "new/model"],
      in: scratch
    ) { process in
      try waitForHandler(of: process)
      kill(process.processIdentifier, signal)
    }
    #expect(finished.status == 128 + signal && finished.output.isEmpty)
    #expect(finished.complaints.count == 1 && finished.error.contains("interrupted"))
    #expect(scratch.contents.allSatisfy { $0 == "new" })
    #expect((try? FileManager.default.contentsOfDirectory(atPath: scratch["new"])) ?? [] == [])
  }

  /// Waits until the process catches signals.
  private func waitForHandler(of process: Process) throws {
    #if os(Linux)
      while process.isRunning {
        let status = try String(
          contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        let caught = try #require(status.split(separator: "\n").first { $0.hasPrefix("SigCgt:") })
        let mask = try #require(UInt64(caught.dropFirst(7).filter { $0.isHexDigit }, radix: 16))
        if mask & (1 << UInt64(SIGHUP - 1)) != 0 { return }
        usleep(1000)
      }
    #else
      sleep(1)
    #endif
  }
}

extension [UInt8] {
  /// Replaces the only occurrence of a text.
  fileprivate mutating func replace(_ old: String, with new: String) {
    guard let range = firstRange(of: Array(old.utf8)) else { return }
    replaceSubrange(range, with: Array(new.utf8))
  }
}
