import Analysis
import Foundation
import TestSupport
import Testing

/// The texts of a prompt's tokens: in the record beside their ids, whatever way the record came about, and in tables.
struct TokenTextTests {
  @Test(arguments: [
    ("ĠParis", " Paris"), ("▁Paris", " Paris"), ("Ċ", "\n"), ("ä¸Ń", "中"), ("##ing", "##ing"),
    // Half a character, and characters outside the byte-level alphabet, are left as spelled.
    ("ä¸", "ä¸"), ("中Ġ", "中Ġ"), ("<0x0A>", "<0x0A>"), ("", ""), ("é", "é"),
  ])
  func isRead(_ spelt: String, _ text: String) {
    #expect(TokenText.read(spelt) == text)
  }

  @Test func whiteSpaceIsVisible() {
    #expect(TokenText.visible(" a\n\r\n") == "␣a↵↵")
    #expect(TokenText.at(1, of: ["a", "Ġb"]) == "␣b")
    for position in [-1, 2] { #expect(TokenText.at(position, of: ["a", nil]) == nil) }
    #expect(TokenText.at(1, of: ["a", nil]) == nil && TokenText.at(0, of: nil) == nil)
  }

  private func prompts(_ scratch: ScratchFolder, _ run: String) throws -> [PromptRecord] {
    try StoredRun(scratch[run]).record.prompts
  }

  @Test func standBesideTheIds() throws {
    let scratch = try ScratchFolder()
    let model = try TextModel.path.get()
    let given = ["--top", "2", "-p", "A cat", "-p", "The dog sat", "--quiet"]
    for (folder, options) in [
      ("whole", []), ("part-1", ["--shard", "1/2"]), ("part-2", ["--shard", "2/2"]),
    ] {
      let finished = try Command.run(
        ["align", model] + given + options + ["-o", folder], in: scratch)
      #expect(finished.status == 0, "\(finished.error)")
    }
    let merged = try Command.run(["merge", "part-1", "part-2", "-o", "merged"], in: scratch)
    #expect(merged.status == 0, "\(merged.error)")
    for run in ["whole", "merged"] {
      for prompt in try prompts(scratch, run) {
        let (ids, tokens) = (try #require(prompt.tokenIds), try #require(prompt.tokens))
        #expect(ids.count == tokens.count)
        #expect(tokens.map { $0.map(TokenText.read) ?? "" }.joined() == prompt.text)
      }
    }
    let shown = try Command.run(["show", "part-2"], in: scratch)
    #expect(shown.output.contains(#"Jacobians of token 5 "at", site"#), "\(shown.output)")
  }

  /// Without a tokenizer they are null, and a record of an earlier version does not have them at all.
  @Test func mayBeMissing() throws {
    let run = try Command.align(ModelFixture("llama").folder, ["--token-ids", "1,2", "--top", "2"])
    #expect(run.record.prompts.map(\.tokens) == [nil])
    let json = String(decoding: try run.record.json(), as: UTF8.self)
    #expect(json.contains("\"tokens\" : null"))
    let earlier = json.replacing("      \"tokens\" : null,\n", with: "")
    #expect(earlier != json)
    #expect(try RunRecord(json: Data(earlier.utf8)).prompts.map(\.tokens) == [nil])
  }
}
