import Alignment
import Foundation
import TestSupport
import Testing

@testable import Analysis

/// Run folders made from a real run by changing its record: other names, other numbers.
struct MadeRuns {
  let scratch: ScratchFolder

  init() throws { scratch = try ScratchFolder() }

  /// Three prompts of a fixture of 3 blocks.
  static let base = Result {
    try Command.align(
      ModelFixture("llama").folder,
      [
        "--token-ids", "5,3,9,7", "--token-ids", "1,2", "--token-ids", "11,4,6", "--form", "both",
        "--top", "4",
        "--ranks", "2,4",
      ]
    ).record
  }

  /// Writes a folder; returns its name, which is a path from the scratch folder.
  @discardableResult
  func add(
    _ name: String, model: String? = nil, _ change: (inout RunRecord) throws -> Void = { _ in }
  ) throws -> String {
    var record = try Self.base.get()
    if let model { record.model.name = model }
    try change(&record)
    try write(record.json(), to: name)
    return name
  }

  /// A folder whose `result.json` holds these bytes.
  func write(_ json: Data, to name: String) throws {
    try FileManager.default.createDirectory(
      atPath: scratch[name], withIntermediateDirectories: true)
    try scratch.write(json, to: "\(name)/result.json")
  }

  func run(_ arguments: [String]) throws -> Finished { try Command.run(arguments, in: scratch) }

  /// The JSON output of a command that must succeed.
  func json(_ arguments: [String]) throws -> [String: Any] {
    let finished = try run(arguments + ["--json"])
    try #require(finished.status == 0, "\(finished.error)")
    return try Self.object(finished.output)
  }

  static func object(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }
}

extension RunRecord {
  /// Replaces every coupling, and every entry of the prompts' tables, by these numbers, one per prompt.
  mutating func setCoupling(_ perPrompt: [Double]) throws {
    statistics.coupling = statistics.coupling.map {
      CouplingStatistic(
        kind: $0.kind, setting: $0.setting, diagonal: $0.diagonal, value: PromptMean(perPrompt),
        null: $0.null)
    }
    for (p, value) in zip(prompts.indices, perPrompt) {
      try prompts[p].changeTables { $0.map { $0.map { _ in value } } }
    }
  }
}

extension PromptRecord {
  /// Changes the entries of all tables of coupling.
  mutating func changeTables(_ change: ([[Double?]]) -> [[Double?]]) throws {
    coupling = try coupling.map { table in
      let object = try JSONSerialization.jsonObject(with: try JSONEncoder().encode(table))
      var members = try #require(object as? [String: Any])
      members["matrix"] = change(table.matrix).map { $0.map { $0.map { $0 as Any } ?? NSNull() } }
      return try JSONDecoder().decode(
        CouplingMatrix.self, from: JSONSerialization.data(withJSONObject: members))
    }
  }
}

extension Finished {
  /// Standard output with wrapped lines joined again.
  var unwrapped: String { output.replacing(/\n {2,}/, with: " ") }
}

extension [String: Any] {
  /// The number at a path of keys; nil if there is none.
  func number(_ path: String...) -> Double? {
    var value: Any? = self
    for key in path { value = (value as? [String: Any])?[key] }
    return value as? Double
  }

  func objects(_ key: String) -> [[String: Any]] { self[key] as? [[String: Any]] ?? [] }
}
