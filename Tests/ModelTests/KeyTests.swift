import Files
import Checkpoint
import Foundation
import LinearAlgebra
import Testing

@testable import Model

/// Every key that the reference implementation reads from a configuration is changed, one at a time: either the
/// result is what the reference computes, or the key is refused. Fixtures/README.md documents keys.json.
@Suite struct KeyTests {
  static let names = (try? answers.get().keys.sorted()) ?? []

  /// The file's content, which nothing changes: a megabyte is read once.
  nonisolated(unsafe) private static let answers = Result {
    let data = try Data(contentsOf: URL(filePath: fixturePath("keys.json")))
    return try #require(JSONSerialization.jsonObject(with: data) as? [String: [String: Any]])
  }

  /// A change of a configuration; the reference answers with numbers, or fails.
  private struct Change: CustomStringConvertible {
    let key: String
    let value: Any
    let answer: [Double]?

    var description: String { "\(key): \(value)" }

    func applied(to configuration: [String: Any]) -> [String: Any] {
      var changed = configuration
      if let several = value as? [String: Any], key == "*" {
        return changed.merging(several) { $1 }
      }
      changed[key] = value as? String == "absent" ? nil : value
      return changed
    }
  }

  private static func changes(_ name: String) throws -> (plain: [Double], changes: [Change]) {
    let answers = try #require(try Self.answers.get()[name])
    let plain = try #require(answers["plain"] as? [Double])
    var changes: [Change] = []
    for (kind, answer) in [("same", plain), ("none", nil)] {
      for (key, values) in try #require(answers[kind] as? [String: [Any]]) {
        changes += values.map { Change(key: key, value: $0, answer: answer) }
      }
    }
    for other in try #require(answers["other"] as? [[Any]]) {
      changes.append(
        Change(
          key: try #require(other[0] as? String), value: other[1],
          answer: try #require(other[2] as? [Double])))
    }
    return (plain, changes)
  }

  @Test func fixtures() { #expect(Self.names.count >= 30) }

  /// The stored decimals have nine digits. Changes for which the reference fails need not be refused: an unused key
  /// of the wrong type does not matter here.
  @Test(arguments: names) func followedOrRefused(_ name: String) throws {
    let (plain, changes) = try Self.changes(name)
    let expected = try Fixture(name: name, form: .folder).expected()
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: folder) }
    try FileManager.default.copyItem(atPath: fixturePath(name), toPath: folder.path())
    let file = folder.appending(path: "config.json")
    let json = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
    let configuration = try #require(json as? [String: Any])

    func answer(_ configuration: [String: Any]) throws -> [Double] {
      try JSONSerialization.data(withJSONObject: configuration).write(to: file)
      let model = try loadTransformer(CheckpointDirectory(opening: folder.path()))
      let path = try Path<Double>(of: [expected.input], through: model)
      let state = try #require(path.states.last)[0]
      let logits = plain.count > 6 ? path.logits?.elements ?? [] : []
      return [Array(state.row(state.rows - 1)), Array(state.row(1)), logits]
        .flatMap { $0.prefix(3) }
    }
    let unchanged = try answer(configuration)
    expectClose(unchanged, plain, 1e-7)
    for change in changes {
      do {
        let found = try answer(change.applied(to: configuration))
        guard let wanted = change.answer else { continue }
        expectClose(found, wanted, 1e-7, "\(change)")
      } catch is ModelError {
      } catch is FileError {
      }
    }
  }
}
