import Foundation
import TestSupport
import Testing

/// Folders and files that are not the models they seem to be: `info` and `align` end at once, with one line that names the
/// file, what is wrong in it and what to do, without control characters.
struct HostileModelTests {
  struct Hostile: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// What the message names.
    let names: [String]
    /// The change to `model/`, a copy of the llama fixture's folder.
    let edit: @Sendable (ScratchFolder) throws -> Void
  }

  private static let pointer =
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 269060552\n"

  /// One key of config.json replaced, the value as JSON.
  private static func configured(
    _ key: String, _ value: String, names: [String]
  ) -> Hostile {
    Hostile(testDescription: "\(key): \(value)", names: ["model/config.json"] + names) { scratch in
      let config = try String(contentsOfFile: scratch["model/config.json"], encoding: .utf8)
      let pattern = try Regex("\"\(key)\": [^,\\n]*")
      try scratch.write(
        Array(config.replacing(pattern, with: "\"\(key)\": \(value)").utf8), to: "model/config.json"
      )
    }
  }

  /// Another file in the place of one.
  private static func replaced(
    _ file: String, by text: String, _ description: String, names: [String]
  ) -> Hostile {
    Hostile(testDescription: description, names: ["model/\(file)"] + names) { scratch in
      try scratch.write(Array(text.utf8), to: "model/\(file)")
    }
  }

  /// A link in the place of a file.
  private static func linked(
    _ file: String, to target: String, names: [String]
  ) -> Hostile {
    Hostile(testDescription: "\(file) → \(target)", names: ["model/\(file)"] + names) { scratch in
      try FileManager.default.removeItem(atPath: scratch["model/\(file)"])
      try FileManager.default.createSymbolicLink(
        atPath: scratch["model/\(file)"], withDestinationPath: target)
    }
  }

  /// The weights with an index that places every tensor in `file`, with the additional entries `others`.
  private static func indexed(
    _ file: String, _ others: String = "", names: [String]
  ) -> Hostile {
    Hostile(testDescription: "index: \(file) \(others)", names: names) { scratch in
      try FileManager.default.moveItem(
        atPath: scratch["model/model.safetensors"], toPath: scratch["model/a.safetensors"])
      let map = "{\"weight_map\": {\"model.norm.weight\": \"\(file)\"\(others)}}"
      try scratch.write(Array(map.utf8), to: "model/model.safetensors.index.json")
    }
  }

  private static let weights = "model.safetensors"

  static let all = [
    replaced(weights, by: pointer, "weights not fetched", names: ["Git LFS", "git lfs pull"]),
    replaced("config.json", by: pointer, "configuration not fetched", names: ["git lfs pull"]),
    replaced(
      weights, by: "<!doctype html><html>Entry not found", "a web page",
      names: ["header length", "download it again"]),
    replaced(weights, by: "", "nothing", names: ["it is empty", "get the file again"]),
    replaced(
      weights, by: "\u{40}\u{42}\u{f}\0\0\0\0\0" + String(repeating: "{\"a\":", count: 200_000),
      "a deep header", names: ["nested too deeply"]),
    replaced(
      "config.json", by: String(repeating: "[", count: 1_000_000), "a deep configuration",
      names: ["nested too deeply"]),
    replaced("config.json", by: "[]", "a list", names: ["\"top level\"", "not a JSON object"]),
    configured("num_hidden_layers", "1000000000000000000", names: ["num_hidden_layers", "2³¹"]),
    Hostile(
      testDescription: "a billion blocks",
      names: ["model/model.safetensors", "model.layers.3.", "belong together"]
    ) { try configured("num_hidden_layers", "1000000000", names: []).edit($0) },
    configured("num_attention_heads", "0", names: ["num_attention_heads", "from 1"]),
    configured("rms_norm_eps", "1e400", names: ["rms_norm_eps", "finite"]),
    configured("rms_norm_eps", "NaN", names: ["rms_norm_eps", "finite"]),
    configured("hidden_size", "-Infinity", names: ["hidden_size", "must be an integer"]),
    configured("hidden_act", #""\ud800""#, names: ["hidden_act", "supported are"]),
    configured("hidden_size", "\"wide\"", names: ["hidden_size", "must be an integer"]),
    configured("model_type", "[\"llama\"]", names: ["model_type", "must be a string"]),
    configured("model_type", "null", names: ["model_type", "is missing"]),
    // A sequence that clears the screen, and one that reverses the writing direction.
    configured(
      "model_type", #""\u001b[2Jmamba\u202e""#, names: [#"\u{1B}[2Jmamba\u{202E}"#, "supported"]),
    configured("hidden_act", #""\u001b]0;x\u0007""#, names: ["hidden_act", #"\u{1B}]0;x\u{07}"#]),
    linked(weights, to: "/dev/zero", names: ["\"/dev/zero\"", "leads out of the model's folder"]),
    linked(
      weights, to: "../outside",
      names: ["leads out of the model", "put the file inside the folder"]),
    linked(weights, to: weights, names: ["symbolic links", "refers to it"]),
    linked(weights, to: "gone", names: ["No such file", "refers to it"]),
    indexed("b.safetensors", names: ["index.json", "\"b.safetensors\"", "cannot be found"]),
    indexed(
      "model.safetensors.index.json", names: ["model.safetensors.index.json", "header length"]),
    indexed("../outside", names: ["index.json", "\"../outside\"", "leads out of"]),
    indexed("/dev/zero", names: ["index.json", "\"/dev/zero\"", "leads out of"]),
    indexed("a.safetensors\", \"x\": 7, \"y\": \"", names: ["index.json", "weight_map.x"]),
    Hostile(testDescription: "a named pipe", names: ["model/config.json", "not a regular file"]) {
      try FileManager.default.removeItem(atPath: $0["model/config.json"])
      #expect(mkfifo($0["model/config.json"], 0o600) == 0)
    },
    Hostile(testDescription: "a folder", names: ["model/config.json", "it is a folder"]) {
      try FileManager.default.removeItem(atPath: $0["model/config.json"])
      try FileManager.default.createDirectory(
        atPath: $0["model/config.json"], withIntermediateDirectories: false)
    },
    Hostile(testDescription: "an adapter", names: ["model: ", "merge_and_unload"]) {
      try FileManager.default.removeItem(atPath: $0["model/config.json"])
      try $0.write(Array("{}".utf8), to: "model/adapter_config.json")
    },
  ]

  @Test(arguments: all) func refused(_ hostile: Hostile) throws {
    let scratch = try ScratchFolder()
    try scratch.write([0], to: "outside")
    let model = try scratch.copy(ModelFixture("llama").folder, as: "model")
    try hostile.edit(scratch)
    for command in [["info", model], ["align", model, "-o", "run", "--token-ids", "1,2"]] {
      try expectFailure(command, names: hostile.names, in: scratch)
    }
  }

  /// The same of a GGUF file and of a pickle.
  @Test(arguments: ["model.gguf", "pytorch_model.bin"]) func pointers(_ name: String) throws {
    let scratch = try ScratchFolder()
    try scratch.copy("\(ModelFixture("llama").folder)/config.json", as: "config.json")
    let file = try scratch.write(Array(Self.pointer.utf8), to: name)
    let model = name.hasSuffix(".gguf") ? file : scratch.path
    try expectFailure(["info", model], names: [name, "git lfs pull"], in: scratch)
  }

  /// Forty steps that each double a text: one line of text would become 10¹² lines.
  @Test func explodingTokenizer() throws {
    let scratch = try ScratchFolder()
    let model = try scratch.copy(ModelFixture("llama").folder, as: "model")
    let step = #"{"type":"Replace","pattern":{"String":"a"},"content":"aa"}"#
    let steps = Array(repeating: step, count: 40).joined(separator: ",")
    try scratch.write(
      Array(
        (#"{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"normalizer":"#
          + #"{"type":"Sequence","normalizers":[\#(steps)]}}"#).utf8), to: "model/tokenizer.json")
    try expectFailure(
      ["align", model, "-o", "run", "-p", "a"],
      names: ["model/tokenizer.json", "normalizer", "10000 times", "--token-ids"], in: scratch)
  }

  /// A cache whose reference is empty, leads elsewhere or nowhere, or whose blob is missing.
  @Test(arguments: [
    ("", "refs/main: cannot be read (it is empty)"), ("../../..", "refs/main: \"revision\""),
    ("def", "snapshots/def"),
    (String(repeating: "a", count: 10_000_000), "refs/main: \"revision\""),
    ("abc", "snapshots/abc/model.safetensors: cannot be read"),
  ])
  func cache(_ reference: String, _ text: String) throws {
    let scratch = try ScratchFolder()
    let home = "hub/models--o--m"
    for folder in ["refs", "blobs", "snapshots/abc"] {
      try FileManager.default.createDirectory(
        atPath: scratch["\(home)/\(folder)"], withIntermediateDirectories: true)
    }
    try scratch.write(Array(reference.utf8), to: "\(home)/refs/main")
    try scratch.copy(
      "\(ModelFixture("llama").folder)/config.json", as: "\(home)/snapshots/abc/config.json")
    try FileManager.default.createSymbolicLink(
      atPath: scratch["\(home)/snapshots/abc/model.safetensors"],
      withDestinationPath: "../../blobs/gone")
    try expectFailure(
      ["info", "o/m"], names: [text], in: scratch, environment: ["HF_HUB_CACHE": scratch["hub"]])
  }

  private func expectFailure(
    _ command: [String], names: [String], in scratch: ScratchFolder,
    environment: [String: String] = [:]
  ) throws {
    let finished = try Command.run(command, in: scratch, environment: environment)
    #expect(finished.status == 1 && finished.output.isEmpty, "\(finished.error)")
    #expect(finished.complaints.count == 1, "\(finished.error)")
    // What to do, or what there is to choose from.
    #expect(["; ", "supported are"].contains { finished.error.contains($0) }, "\(finished.error)")
    #expect(
      !finished.error.dropLast().unicodeScalars.contains {
        $0.properties.generalCategory == .control
      })
    for name in names {
      #expect(finished.error.contains(name), "\(name): \(finished.error)")
    }
  }
}
