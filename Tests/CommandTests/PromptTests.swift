import Analysis
import Foundation
import TestSupport
import Testing

/// Which prompts a file holds, the notes where that is a guess, and which prompt an error is about.
struct PromptTests {
  private func align(
    _ files: [String: String], _ options: [String], model: String? = nil
  ) throws -> (Finished, ScratchFolder) {
    let scratch = try ScratchFolder()
    for (name, text) in files { try scratch.write(text.utf8, to: name) }
    let finished = try Command.run(
      ["align", try model ?? TextModel.path.get(), "-o", "run", "--top", "2"] + options, in: scratch
    )
    return (finished, scratch)
  }

  private func texts(_ scratch: ScratchFolder) throws -> [String?] {
    try RunRecord(json: Data(contentsOf: URL(filePath: scratch["run/result.json"]))).prompts
      .map(\.text)
  }

  // MARK: Files

  @Test(arguments: [
    ("p.json", #"[{"text": "a"}, {"prompt": "b", "text": null}, "c"]"#),
    ("p.JSON", "\u{FEFF}[\n  \"a\",\n  \"b\",\n  {\"text\": \"c\"}\n]\n"),
    ("p.JSONL", "{\"text\": \"a\"}\n\n{\"prompt\": \"b\"}\r\n\"c\"\n"),
    ("p.jsonl", "{\"text\": \"a\", \"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n{\"text\": \"c\"}"),
    ("p.TXT", "a\nb\nc\n"), ("p", "a\nb\nc"),
  ])
  func kindsOfFiles(_ name: String, _ text: String) throws {
    let (finished, scratch) = try align([name: text], ["--prompts", name])
    #expect(finished.status == 0 && finished.error.isEmpty, "\(finished.error)")
    #expect(try texts(scratch) == ["a", "b", "c"])
  }

  @Test(arguments: [
    ("p.json", "{\"text\": \"a\"}", ["no array", ".jsonl"]),
    ("p.json", "{\"text\": \"a\"}\n{\"text\": \"b\"}", ["not one JSON value", ".jsonl"]),
    ("p.json", "[{\"text\": \"a\"}, {\"body\": \"b\"}]", ["item 2", "text"]),
    ("p.json", "[1]", ["item 1", "text"]), ("p.json", "[]", ["no prompt"]),
    ("p.JSONL", "{\"text\": \"a\"}\n3", ["line 2", "text"]),
  ])
  func filesThatHoldNoPrompts(_ name: String, _ text: String, _ names: [String]) throws {
    let (finished, scratch) = try align([name: text], ["--prompts", name])
    #expect(finished.status == 64 && finished.complaints.count == 1, "\(finished.error)")
    for name in names + [name] { #expect(finished.error.contains(name), "\(finished.error)") }
    #expect(scratch.contents == [name])
  }

  @Test(arguments: [
    ("p.txt", "{\"text\": \"a\"}\n", ["p.txt", "looks like JSON", ".jsonl"], "{\"text\": \"a\"}"),
    ("p", "[\n", ["looks like JSON"], "["),
    (
      "p.jsonl", "{\"prompt\": \"b\", \"text\": \"a\"}\n", ["line 1", "both", "\"text\" is used"],
      "a"
    ),
  ])
  func guessesAreAnnounced(
    _ name: String, _ text: String, _ names: [String], _ prompt: String
  ) throws {
    let (finished, scratch) = try align([name: text], ["--prompts", name])
    #expect(finished.status == 0 && finished.complaints.count == 1, "\(finished.error)")
    for name in names { #expect(finished.error.contains(name), "\(finished.error)") }
    #expect(try texts(scratch) == [prompt])
  }

  @Test func textsThatAreNoJSON() throws {
    for text in ["[INST] a", "{name}", "a {\"b\": 1}"] {
      let (finished, _) = try align(["p.txt": text], ["--prompts", "p.txt"])
      #expect(finished.status == 0 && finished.error.isEmpty, "\(finished.error)")
    }
  }

  // MARK: The text of a token

  @Test(arguments: [
    ("llama2", "<s>", [1, 1]), ("llama3", "<|begin_of_text|>", [640, 640]),
    ("smollm2", "<|endoftext|>", [0]),
  ])
  func beginningsThatAreTokens(_ tokenizer: String, _ token: String, _ ids: [Int]) throws {
    let scratch = try ScratchFolder()
    let model = try scratch.copy(try TextModel.path.get(), as: "model")
    try FileManager.default.removeItem(atPath: "\(model)/tokenizer.json")
    try scratch.copy(
      ModelFixture.path("TokenizationTests/Fixtures/\(tokenizer).json"), as: "model/tokenizer.json")
    let prompts = ["-p", "\(token)one", "-p", "one", "-p", "\(token) two"]
    let (finished, run) = try align([:], prompts, model: model)
    #expect(finished.status == 0 && finished.complaints.count == 1, "\(finished.error)")
    #expect(finished.error.contains("prompt 1 (\"\(token)one\") and 1 more begin with"))
    #expect(finished.error.contains("\"\(token)\""))
    #expect(finished.error.contains("reads it twice") == (ids.count == 2))
    let record = try RunRecord(json: Data(contentsOf: URL(filePath: run["run/result.json"])))
    #expect(record.prompts[0].tokenIds?.prefix(ids.count) == ids[...])
    let (quiet, _) = try align([:], prompts + ["--quiet"], model: model)
    #expect(quiet.error.isEmpty)
  }

  // MARK: Which prompt

  @Test func errorsNameThePrompt() throws {
    let long = String(repeating: "cat ", count: 9000)
    let lines = (1...30).map { "\($0)" }.joined(separator: "\n")
    let cases: [(files: [String: String], options: [String], names: [String])] = [
      (
        ["long.txt": "\(lines)\n\n\(long)\n"], ["--prompts", "long.txt"],
        ["prompt 31 (\"cat cat", "…\", line 32 of long.txt)", "positions"]
      ),
      (
        ["p.json": "[\"a\", {\"text\": \"\"}]"], ["-p", "x", "--prompts", "p.json"],
        ["prompt 3 (item 2 of p.json) is empty"]
      ),
      ([:], ["-p", "x", "--token-ids", "1,5000"], ["prompt 2 (token ids 1,5000)", "5000"]),
      (
        ["p.txt": "one\n"],
        ["-p", String(repeating: "one ", count: 30), "--prompts", "p.txt", "--from-token", "20"],
        ["prompt 2 (\"one\", line 1 of p.txt)", "--from-token 20"]
      ),
    ]
    for (files, options, names) in cases {
      let (finished, scratch) = try align(files, options)
      #expect(finished.status != 0 && finished.output.isEmpty)
      for name in names { #expect(finished.error.contains(name), "\(finished.error)") }
      #expect(scratch.contents == files.keys.sorted())
    }
  }

  @Test func errorsNameTheImage() throws {
    let scratch = try ScratchFolder()
    let model = try scratch.copy(ModelFixture("vit").folder, as: "vit")
    try scratch.write(Array("{}".utf8), to: "vit/preprocessor_config.json")
    let good = ModelFixture.path("ImagesTests/Fixtures/rgb-8.png")
    try scratch.write(Array("GIF89a".utf8), to: "cat.jpg")
    let finished = try Command.run(
      ["align", model, "-o", "run", "--image", "cat.jpg", "--image", good], in: scratch)
    #expect(finished.status == 1 && finished.complaints.count == 1, "\(finished.error)")
    #expect(finished.error.contains("prompt 1 (image cat.jpg)"), "\(finished.error)")
  }

  @Test func errorsNameTheEncodersSide() throws {
    let options = ["--token-ids", "1", "--encoder-token-ids", "1,100000"]
    let (finished, _) = try align([:], options, model: ModelFixture("t5").folder)
    #expect(finished.status == 64 && finished.error.contains("--encoder-token-ids"))
    #expect(!finished.error.contains("prompt 1") && finished.error.contains("100000"))
  }
}
