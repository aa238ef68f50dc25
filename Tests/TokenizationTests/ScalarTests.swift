import Testing

@testable import Tokenization

/// Every step that depends on the properties of scalars gives the reference's result for every scalar.
@Suite struct ScalarTests {
  /// The CRC-32 of zlib, continued from a previous sum.
  private func checksum(_ bytes: some Sequence<UInt8>, from sum: UInt32) -> UInt32 {
    var sum = ~sum
    for byte in bytes { sum = Self.table[Int((sum ^ UInt32(byte)) & 0xFF)] ^ sum >> 8 }
    return ~sum
  }

  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(byte) { sum, _ in sum & 1 == 1 ? 0xEDB8_8320 ^ sum >> 1 : sum >> 1 }
  }

  @Test(arguments: ScalarExpectation.all.steps.indices) func everyScalar(_ i: Int) throws {
    let (unicode, steps) = ScalarExpectation.all
    let tokenizer = try Tokenizer(json: steps[i].tokenizer)
    try #require(steps[i].sums.count == 0x110000 >> 14)
    for (block, expected) in steps[i].sums.enumerated() {
      var sum: UInt32 = 0
      for value in UInt32(block << 14)..<UInt32((block + 1) << 14) {
        guard let scalar = Unicode.Scalar(value),
          EarlierUnicode.isAssigned(scalar, in: unicode), !isNoncharacter(value)
        else { continue }
        var text: [UInt32] = [0x78, value, 0x79]
        text = tokenizer.normalizer?.normalize(text) ?? text
        var pieces = Pieces(text)
        tokenizer.preTokenizer?.apply(to: &pieces)
        for range in pieces.ranges {
          sum = checksum(String(scalarValues: pieces.scalars[range] + [0x0A]).utf8, from: sum)
        }
      }
      #expect(sum == expected, "\(steps[i].tokenizer.prefix(200)): block \(block)")
    }
  }

  /// Whether a value is a noncharacter; these have an age but are unassigned by category.
  private func isNoncharacter(_ value: UInt32) -> Bool {
    value & 0xFFFE == 0xFFFE || (0xFDD0...0xFDEF).contains(value)
  }

  @Test func everyStepIsThere() {
    #expect(ScalarExpectation.all.steps.count >= 13)
    #expect(ScalarExpectation.all.unicode >= 14)
  }
}
