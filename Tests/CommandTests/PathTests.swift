import Analysis
import Foundation
import TestSupport
import Testing

/// Paths mean the same wherever one is taken, and shells complete them.
struct PathTests {
  private static let llama = ModelFixture("llama").folder
  private static let options = ["--token-ids", "1,2,3", "--top", "2"]

  /// A home folder with a model, and a folder beside it to work in.
  private func home() throws -> (ScratchFolder, [String: String]) {
    let scratch = try ScratchFolder()
    try scratch.makeFolder("home")
    try scratch.copy(Self.llama, as: "home/model")
    return (scratch, ["HOME": scratch["home"]])
  }

  @Test func tildeIsTheHomeFolder() throws {
    let (scratch, environment) = try home()
    let text = try TextModel.path.get()
    try scratch.write(Array("one\n".utf8), to: "home/p.txt")
    try scratch.write(Array("model,mean_of_six\nmodel,3\n".utf8), to: "home/scores.csv")
    let commands: [[String]] = [
      ["info", "~/model"],
      ["align", "~/model", "--output=~/run"] + Self.options,
      ["align", text, "--prompts", "~/p.txt", "-o", "~/text", "--top", "2"],
      ["show", "~/run"], ["compare", "~/run", "~/run"],
      ["plan", "~/model", "-o", "~/none"] + Self.options,
      ["merge", "~/run", "~/text", "-o", "~/merged"],
      ["correlate", "~/run", "--scores", "~/scores.csv"],
    ]
    for command in commands {
      let finished = try Command.run(command, in: scratch, environment: environment)
      switch command[0] {
      // These fail for another reason than a missing path.
      case "merge": #expect(finished.error.contains("\(scratch["home/text"])"), "\(finished.error)")
      case "correlate": #expect(finished.error.contains("1 of the 3"), "\(finished.error)")
      default: #expect(finished.status == 0, "\(command): \(finished.error)")
      }
    }
    #expect(scratch.contents == ["home"])
    let record = try RunRecord(
      json: Data(contentsOf: URL(filePath: scratch["home/run/result.json"])))
    #expect(record.settings.output == scratch["home/run"])
    #expect(record.model.name == "model")
  }

  /// A ~ is expanded only alone or before a slash; anything else that begins with it is an ordinary name.
  @Test func otherTildesAreNames() throws {
    let (scratch, environment) = try home()
    for name in ["~x", "./~", "a~/b"] {
      let finished = try Command.run(
        ["align", "~/model", "-o", name] + Self.options, in: scratch, environment: environment)
      #expect(finished.status == 0, "\(finished.error)")
      #expect(FileManager.default.fileExists(atPath: scratch["\(name)/result.json"]), "\(name)")
    }
  }

  // MARK: Completions

  /// The completions that bash, with the installed script, offers for the last of some words.
  private func bash(_ words: [String], in scratch: ScratchFolder) throws -> [String] {
    let script = try Command.run(["--generate-completion-script", "bash"], in: scratch)
    try scratch.write(script.output.utf8, to: "script")
    let finished = try Command.run(
      [
        "-c",
        """
        source ./script
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9
        _krylens krylens "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
        """, "bash",
      ] + words, executable: "/bin/bash", in: scratch)
    return finished.output.split(separator: "\n").map {
      $0.trimmingCharacters(in: CharacterSet(charactersIn: " /"))
    }
  }

  @Test func bashCompletesFiles() throws {
    let scratch = try ScratchFolder()
    try scratch.makeFolder("made-folder")
    try scratch.write([], to: "made-file")
    let both = ["made-file", "made-folder"]
    for (words, wanted) in [
      (["krylens", "info", "ma"], both), (["krylens", "align", "ma"], both),
      (["krylens", "align", "m", "--prompts", "ma"], both),
      (["krylens", "align", "m", "--image", "ma"], both),
      (["krylens", "align", "m", "-o", "ma"], ["made-folder"]),
      (["krylens", "report", "ma"], ["made-folder"]),
      (["krylens", "compare", "a", "ma"], ["made-folder"]),
      (["krylens", "show", "ma"], ["made-folder"]),
    ] {
      #expect(try bash(words, in: scratch).sorted() == wanted, "\(words)")
    }
  }

  /// The other shells may not be installed; their scripts name their own way to complete files.
  @Test(arguments: [("zsh", "_files"), ("fish", "-F")])
  func otherShells(_ shell: String, _ word: String) throws {
    let scratch = try ScratchFolder()
    let script = try Command.run(["--generate-completion-script", shell], in: scratch).output
    #expect(script.contains(word))
  }

  // MARK: Help

  @Test(arguments: [
    "align", "show", "info", "plan", "bench", "synthesize", "merge", "compare", "correlate",
    "emergence", "report",
  ])
  func helpSpeaksOfNoType(_ command: String) throws {
    let help = try Command.run([command, "--help"], in: try ScratchFolder())
    #expect(help.status == 0)
    for word in ["IntegerList", "FilePath", "Optional", "Normalisation(", "values: [", "rawValue"] {
      #expect(!help.output.contains(word), "\(word)")
    }
  }

  @Test func onlyTypesThatAreWrittenAreListed() throws {
    let scratch = try ScratchFolder()
    let help = try Command.run(["synthesize", "--help"], in: scratch)
    let words = help.output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    #expect(words.contains("values: bf16, f16, f32;"))
    let made = { (type: String) in
      try Command.run(
        [
          "synthesize", "--like", "smollm2-135m", "--layers", "1", "--width", "64", "--vocabulary",
          "8", "--dtype", type, type,
        ], in: scratch)
    }
    for type in ["bf16", "f16", "F32"] { #expect(try made(type).status == 0) }
    #expect(try made("f64").status == 64)
  }
}
