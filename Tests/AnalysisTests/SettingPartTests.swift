import Alignment
import Foundation
import Studies
import TestSupport
import Testing

@testable import Analysis

/// Every setting belongs to one part of the settings, which determines whether it may differ between runs.
struct SettingPartTests {
  /// Another value of every setting, as JSON.
  private static let others = [
    "kind": #""self""#, "site": #""mlp""#, "last": #""drop""#, "from_token": "0", "to_token": "0",
    "tokens": #""all""#, "basis_layer": "2", "random_init": "true", "layers": "[1]",
    "encoder_prompt": #""x""#, "encoder_token_ids": "[1]", "top": "5", "ranks": "[2]",
    "rank_share": "0.5", "solver": #""dense""#, "block_size": "3", "tolerance": "0.001",
    "precision": #""double""#, "certify": #""off""#, "seed": "7",
    "model": #""m""#, "name": #""n""#, "step": "3", "shard": #""1/2""#, "max_memory": "1",
    "threads": "9", "save_hidden_states": "true", "output": #""o""#, "sign": #""absolute""#,
    "normalisation": #""trace""#, "form": #""crossed""#, "score": #""misfit""#,
    "diagonal": #""included""#, "like_paper": "true",
  ]

  private static func keys(_ part: some Encodable) throws -> Set<String> {
    let json = try JSONSerialization.jsonObject(with: try recordJSON(part))
    return Set(try #require(json as? [String: Any]).keys)
  }

  private static func changed(_ settings: RunSettings, _ key: String) throws -> RunSettings {
    let json = try JSONSerialization.jsonObject(with: try recordJSON(settings))
    var members = try #require(json as? [String: Any])
    members[key] = try JSONSerialization.jsonObject(
      with: Data(try #require(others[key]).utf8), options: .fragmentsAllowed)
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(
      RunSettings.self, from: try JSONSerialization.data(withJSONObject: members))
  }

  private static func run() throws -> AlignmentRun {
    var settings = RunSettings(model: ModelFixture("llama").folder, name: "llama", threads: 1)
    (settings.top, settings.ranks, settings.form) = (4, [4], .both)
    return try AlignmentRun(settings, prompts: [.tokens([5, 3, 9]), .tokens([7, 1])])
  }

  private static let record = Result { try run().run(meter: MemoryMeter()).record }

  /// The run with another value of a setting, as a folder that can be read.
  private func stored(
    _ name: String, _ key: String? = nil, in scratch: ScratchFolder
  ) throws -> StoredRun {
    var record = try Self.record.get()
    (record.model.name, record.model.fingerprint) = (name, "weights of \(name)")
    if let key { record.settings = try Self.changed(record.settings, key) }
    record.statistics = StudyStatistics(record.prompts, diagonal: record.settings.diagonal)
    try scratch.makeFolder(name)
    try scratch.write(record.json(), to: "\(name)/result.json")
    return try StoredRun(scratch[name])
  }

  @Test func everySettingStandsInOnePart() throws {
    let settings = RunSettings(model: "base", name: "base", threads: 1)
    let parts = [
      try Self.keys(settings.numeric.quantity), try Self.keys(settings.numeric.scope),
      try Self.keys(settings.numeric.solution), try Self.keys(settings.execution),
      try Self.keys(settings.reading),
    ]
    let all = parts.reduce(into: Set()) { $0.formUnion($1) }
    #expect(parts.reduce(0) { $0 + $1.count } == all.count)
    #expect(try Self.keys(settings) == all && Set(Self.others.keys) == all)
    #expect(all.allSatisfy { SettingKey(rawValue: $0) != nil })
    for key in all {
      let other = try Self.changed(settings, key)
      #expect(try RecordDifference.all([settings, other]).map(\.key) == [key])
    }
  }

  /// A run is resumed or merged if no setting that determines its numbers differs; otherwise that setting is named.
  @Test func runsGoOnUnlessTheirNumbersDiffer() throws {
    let one = try Self.run().manifest()
    let numeric = try Self.keys(one.settings.numeric)
    // The manifest has these in resolved form: ranks, and what the prompts' encoder read.
    let resolved: Set = ["rank_share", "encoder_prompt", "encoder_token_ids"]
    for key in Self.others.keys {
      let other = RunManifest(
        krylens: one.krylens, model: one.model, settings: try Self.changed(one.settings, key),
        layers: key == "layers" ? [1] : one.layers, prompts: one.prompts, promptList: nil,
        computedWith: nil)
      let merging = try one.obstacleBesidesPrompts(to: other)?.description
      let resuming = try one.obstacle(to: other)?.description
      if numeric.subtracting(resolved).contains(key) {
        #expect(merging?.hasPrefix("`\(key)` is ") == true && resuming == merging, "\(key)")
      } else {
        // One part of the prompts does not resume with those of another part.
        #expect(merging == nil && (resuming == nil) == (key != "shard"), "\(key)")
      }
    }
    // Another way of requesting the same.
    for change: (inout RunSettings) -> Void in [
      { $0.layers = [1, 2, 3] }, { $0.solver = $0.solver.chosen(for: 4, width: one.model.width) },
      { ($0.fromToken, $0.toToken) = (.index(-1), .index(-1)) },
    ] {
      var settings = one.settings
      change(&settings)
      let other = RunManifest(
        krylens: one.krylens, model: one.model, settings: settings, layers: one.layers,
        prompts: one.prompts, promptList: nil, computedWith: nil)
      #expect(settings != one.settings)
      #expect(try one.obstacle(to: other) == nil)
    }
  }

  @Test func comparisonsNameWhatNumbersDependOn() throws {
    let scratch = try ScratchFolder()
    let base = try stored("base", in: scratch)
    let execution = try Self.keys(base.record.settings.execution)
    for key in Self.others.keys {
      let other = try stored(key, key, in: scratch)
      let found = try RunComparison(base, other, reading: CouplingReading()).differences
      let settings = found.map(\.key).filter { !$0.hasPrefix("model.") }
      #expect(settings == (execution.contains(key) ? [] : [key]), "\(key)")
    }
  }

  @Test func correlationsRefuseOtherQuantitiesAndWarnOfOtherScopes() throws {
    let scratch = try ScratchFolder()
    let (a, b) = (try stored("a", in: scratch), try stored("b", in: scratch))
    let numeric = a.record.settings.numeric
    // The reading of a coupling also determines what it means, as far as not every record holds it.
    let meaning = try Self.keys(numeric.quantity).union([
      "sign", "normalisation", "form", "diagonal",
    ])
    let scope = try Self.keys(numeric.scope)
    for key in Self.others.keys {
      let other = try stored(key, key, in: scratch)
      let scores = ScoreColumn(name: "s", source: "s.csv", scores: ["a": 1, "b": 2, key: 4])
      let study = {
        try CorrelationStudy(
          [a, b, other], .coupling(CouplingReading(kind: .depth)), scores: scores)
      }
      if meaning.contains(key) {
        let error = #expect(throws: RunError.self, "\(key)") { _ = try study() }
        #expect(error?.description.contains("(\(key): ") == true, "\(key)")
      } else {
        let warnings = try study().warnings.filter { $0.hasPrefix("settings differ: ") }
        #expect(warnings.count == (scope.contains(key) ? 1 : 0), "\(key)")
        #expect(warnings.allSatisfy { $0.contains(" \(key): ") }, "\(key)")
      }
    }
  }

  // MARK: Messages

  @Test func messagesAreSpelledByWhoShowsThem() {
    let message: SettingMessage = "raise \(.tolerance) to \(0.5), or " + "try another \(.solver)"
    #expect(
      message.spelled { "<\($0.rawValue)>" } == "raise <tolerance> to 0.5, or try another <solver>")
    #expect(SettingMessage(recorded: message.description) == message)
    #expect(
      SettingMessage(recorded: message.description).spelled { "<\($0.rawValue)>" }
        == message.spelled { "<\($0.rawValue)>" })
    // Text in backquotes is plain text.
    for text in ["", "`", "``", "a `b` c", "`tolerance", "a`b`top"] {
      #expect(SettingMessage(recorded: text).spelled { _ in "?" } == text)
    }
    let error = RunError.badSetting(.ranks, value: "5", reason: "must be from 1 to \(.top)")
    #expect(error.message.spelled { "--\($0.rawValue)" } == "--ranks 5: must be from 1 to --top")
    // What a user wrote is not taken for a name.
    let given: SettingMessage = "\("`top`") is \(.top)"
    #expect(given.spelled { _ in "?" } == "`top` is ?")
  }
}
