import Files
import Checkpoint
import Foundation
import Testing

@testable import Model

/// Frequencies and attention factors, compared with those recorded from another implementation, for settings in the
/// form of a config.json.
@Suite struct RotaryFrequencyTests {
  struct Case: Sendable, CustomTestStringConvertible {
    struct Expected: Decodable, Sendable {
      let length: Int
      let frequencies: [Double]
      let scale: Double
    }

    let name: String
    let positions: Int
    let parameters: JSONObject
    let expected: [Expected]
    var testDescription: String { name }
  }

  static let cases: [Case] = {
    struct Recorded: Decodable {
      let name: String
      let positions: Int
      let at_lengths: [Case.Expected]
    }
    // An unreadable recording yields no cases, which `recording` notices.
    guard let path = try? fixturePath("rotary.json"),
      let data = FileManager.default.contents(atPath: path),
      let recorded = try? JSONDecoder().decode([Recorded].self, from: data),
      let raw = try? JSONValue.parse(file: path).array
    else { return [] }
    return zip(recorded, raw).compactMap { recorded, raw in
      raw.object?["rope_parameters"]?.object.map {
        Case(
          name: recorded.name, positions: recorded.positions, parameters: $0,
          expected: recorded.at_lengths)
      }
    }
  }()

  @Test func recording() { #expect(Self.cases.count >= 17) }

  /// Both sides evaluate θ^x and a few products in double precision; dynamic scaling raises to a power twice.
  @Test(arguments: cases) func frequencies(_ recorded: Case) throws {
    for key in ["rope_parameters", "rope_scaling"] {
      let configuration = Configuration(file: "config.json") {
        $0 == key ? .object(recorded.parameters) : nil
      }
      let rotary = try RotaryFrequencies(
        configuration, dimension: 32, trained: recorded.positions)
      for expected in recorded.expected {
        let (values, scale) = rotary.frequencies(length: expected.length)
        #expect(values.count == expected.frequencies.count)
        for (value, reference) in zip(values, expected.frequencies) {
          #expect(abs(value - reference) <= 1e-13 * reference, "length \(expected.length)")
        }
        #expect(abs(scale - expected.scale) <= 1e-15 * expected.scale)
      }
    }
  }

  /// θ beside the older key; θ among the parameters takes precedence; the default is 10⁴.
  @Test func base() throws {
    func theta(_ json: String) throws -> Double {
      let object = try #require(JSONValue.parse(Array(json.utf8), source: "config.json").object)
      return try RotaryFrequencies(
        Configuration(file: "config.json", object: object), dimension: 4, trained: 8
      ).theta
    }
    #expect(try theta("{}") == 10_000)
    #expect(try theta(#"{"rope_theta": 500}"#) == 500)
    #expect(try theta(#"{"rope_theta": 500, "rope_scaling": null}"#) == 500)
    #expect(
      try theta(#"{"rope_theta": 500, "rope_scaling": {"type": "linear", "factor": 2}}"#) == 500)
    #expect(try theta(#"{"rope_theta": 500, "rope_parameters": {"rope_theta": 300}}"#) == 300)
  }
}
