import LinearAlgebra
import Testing

@testable import Tokenization

/// Properties that hold for every text.
@Suite struct PropertyTests {
  /// Random scalars from all of Unicode, with white space and ASCII overrepresented.
  private func randomText(_ generator: inout SeededGenerator, count: Int) -> String {
    var result = String.UnicodeScalarView()
    while result.count < count {
      let value: UInt32 =
        switch UInt8.random(in: 0..<8, using: &generator) {
        case 0...2: .random(in: 0..<0x80, using: &generator)
        case 3:
          [0x20, 0x20, 0x0A, 0x0D, 0x09, 0xA0, 0x3000].randomElement(using: &generator) ?? 0x20
        case 4: .random(in: 0x80..<0x800, using: &generator)
        case 5, 6: .random(in: 0x800..<0x1_0000, using: &generator)
        default: .random(in: 0x1_0000..<0x11_0000, using: &generator)
        }
      if let scalar = Unicode.Scalar(value) { result.append(scalar) }
    }
    return String(result)
  }

  @Test(arguments: Fixtures.lossless, [1, 2, 3] as [UInt64])
  func decodingInvertsByteLevelEncoding(_ name: String, seed: UInt64) throws {
    let tokenizer = try Fixtures.tokenizer(name)
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<40 {
      let text = randomText(&generator, count: .random(in: 0..<60, using: &generator))
      let ids = tokenizer.encode(text, addingSpecialTokens: false)
      #expect(tokenizer.decode(ids).bytes == text.bytes)
      #expect(tokenizer.encode(text, addingSpecialTokens: false) == ids)
    }
  }

  @Test(arguments: Fixtures.lossless) func piecesAreTheText(_ name: String) throws {
    let tokenizer = try Fixtures.tokenizer(name)
    for text in Fixtures.expected.texts {
      var pieces = Pieces(text.unicodeScalars.map(\.value))
      tokenizer.preTokenizer?.apply(to: &pieces)
      let spelt = pieces.ranges.map { String(scalarValues: pieces.scalars[$0]) }
      #expect(pieces.ranges.allSatisfy { !$0.isEmpty })
      #expect(Decoder.byteLevel.decode(spelt).joined().bytes == text.bytes)
    }
  }

  @Test func everyByteHasItsCharacter() {
    #expect(Set(ByteLevelAlphabet.scalars).count == 256)
    for byte in UInt8.min...UInt8.max {
      let scalar = Unicode.Scalar(ByteLevelAlphabet.scalars[Int(byte)])
      #expect(scalar.flatMap(ByteLevelAlphabet.byte) == byte)
      #expect(scalar?.properties.isWhitespace == false)
    }
    #expect(ByteLevelAlphabet.scalars[0x20] == 0x120)
    #expect(ByteLevelAlphabet.byte(of: "\u{144}") == nil)
  }

  /// A normal form is equal to its text by Swift's ==, which compares by canonical equivalence, and equivalent texts have the
  /// same normal form.
  @Test(arguments: [1, 2, 3, 4] as [UInt64]) func normalFormsAreCanonical(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let marks: [UInt32] = [
      0x300, 0x301, 0x323, 0x327, 0x345, 0x1161, 0x11A8, 0x41, 0x65, 0x1100, 0xAC00,
    ]
    for _ in 0..<200 {
      let text = (0..<12).map { _ in
        Bool.random(using: &generator)
          ? marks.randomElement(using: &generator) ?? 0x300
          : UInt32.random(in: 0xC0..<0x2200, using: &generator)
      }
      let composed = NormalizationForm.normalize(text, composing: true, compatibility: false)
      let decomposed = NormalizationForm.normalize(text, composing: false, compatibility: false)
      #expect(String(scalarValues: composed) == String(scalarValues: text))
      #expect(String(scalarValues: decomposed) == String(scalarValues: text))
      #expect(
        NormalizationForm.normalize(decomposed, composing: true, compatibility: false) == composed)
      #expect(
        NormalizationForm.normalize(composed, composing: false, compatibility: false) == decomposed)
      #expect(
        NormalizationForm.normalize(composed, composing: true, compatibility: false) == composed)
    }
  }

  /// For a piece of n symbols, at most n − 1 candidates are queued at first, and each of at most n − 1 merges queues two
  /// more.
  @Test(arguments: ["gpt2", "llama3", "llama2", "gemma"]) func longRunsCostAFewCandidatesEach(
    _ name: String
  ) throws {
    let tokenizer = try Fixtures.tokenizer(name)
    for unit in ["a", " ", "ab", "\n", "the ", "é", "1"] {
      let text = String(repeating: unit, count: 20_000)
      var work = TokenModel.Workspace()
      _ = tokenizer.encode(text, addingSpecialTokens: false, using: &work)
      // ▁ and é take up to three bytes each.
      #expect(work.bytePairs.candidates <= 3 * 3 * (text.utf8.count + 1))
    }
  }

  /// From every position, at most one scalar more than the longest token has is examined.
  @Test(arguments: Fixtures.names.filter { $0.contains("unigram") || $0.contains("t5") })
  func unigramsCostTheirLongestEach(_ name: String) throws {
    let tokenizer = try Fixtures.tokenizer(name)
    let longest = try longestToken(of: tokenizer)
    for unit in ["a", "▁", "ab", "\n", "the", "é", "the quick "] {
      let count = String(repeating: unit, count: 20_000).unicodeScalars.count
      var work = TokenModel.Workspace()
      _ = tokenizer.encode(
        String(repeating: unit, count: 20_000), addingSpecialTokens: false, using: &work)
      // Normalization turns each of these scalars into at most three.
      #expect(work.unigram.steps <= 3 * (count + 1) * (longest + 1))
      if unit == "a" { #expect(work.unigram.steps >= count) }
    }
  }

  /// The same holds for WordPiece, whose words may be as long as the file allows.
  @Test(arguments: ["bert-uncased", "word-pieces-bare"]) func wordPiecesCostTheirLongestEach(
    _ name: String
  ) throws {
    let tokenizer = try Fixtures.tokenizer(name)
    let longest = try longestToken(of: tokenizer)
    for unit in ["a", "ab ", "the", "中", "!"] {
      for count in [3, 90, 3_900, 20_000] {
        let text = String(repeating: unit, count: count)
        var work = TokenModel.Workspace()
        _ = tokenizer.encode(text, addingSpecialTokens: false, using: &work)
        #expect(work.wordPieceSteps <= text.unicodeScalars.count * (longest + 1))
      }
    }
  }

  private func longestToken(of tokenizer: Tokenizer) throws -> Int {
    let lengths = (0..<tokenizer.vocabularySize).compactMap {
      tokenizer.token($0)?.unicodeScalars.count
    }
    return try #require(lengths.max())
  }

  /// Every fork of a program is taken at most once at each position, whatever the text.
  @Test(arguments: Fixtures.lossless) func splittingIsLinear(_ name: String) throws {
    let tokenizer = try Fixtures.tokenizer(name)
    for unit in ["a", " ", "\n ", "A", "aA", "'", " !", "1", "\u{301}", "\t\r"] {
      let count = 20_000
      let scalars = String(repeating: unit, count: count).unicodeScalars.map(\.value)
      var pieces = Pieces(scalars)
      tokenizer.preTokenizer?.apply(to: &pieces)
      // No family has a hundred forks, and conversion to the byte-level alphabet at most doubles these texts.
      #expect(pieces.steps <= 2 * 100 * (scalars.count + 1))
    }
  }
}
