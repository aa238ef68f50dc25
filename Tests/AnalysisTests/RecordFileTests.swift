import Foundation
import TestSupport
import Testing

@testable import Analysis

/// `result.json` read prompt by prompt: equal to reading it at once, or an error.
struct RecordFileTests {
  private static let record = Result {
    var settings = RunSettings(model: ModelFixture("llama").folder, name: "llama", threads: 1)
    (settings.top, settings.ranks, settings.kind) = (2, [1, 2], .tokens)
    settings.tokens = .all
    var record = try AlignmentRun(
      settings, prompts: [.tokens([5, 3, 9]), .tokens([7]), .tokens([1, 2])]
    ).run(meter: MemoryMeter()).record
    // Brackets, quotes and line breaks in strings are text.
    record.prompts[1].text = "\"}],[{\\\" \n  \"coupling\" : [ \u{1F600} \\"
    record.model.name = "\n  \"prompts\" : ["
    return record
  }

  private func file(_ json: Data, in scratch: ScratchFolder) throws -> String {
    try FileManager.default.createDirectory(
      atPath: scratch["run"], withIntermediateDirectories: true)
    try scratch.write(Array(json), to: "run/result.json")
    return scratch["run"]
  }

  /// Rows of tables are written without an encoder, but to the same text.
  @Test func rowsAreWrittenAsByTheEncoder() throws {
    let rows: [[Double?]] = [
      [1, nil, -0.0, 0.1, 1e-5, 1e20, 123_456_789_012_345_680, 5e-324, -1.7e308], [], [nil],
    ]
    for rows in [rows, [[]], []] {
      let encoded = try recordJSON(rows)
      let expected = JSONTemplate.indented(Data(encoded.dropFirst().dropLast(2)), by: 6)
      #expect(try JSONTemplate.rows(rows, by: 8) == (rows.isEmpty ? Data() : expected))
    }
    for number in [Double.nan, .infinity] {
      #expect(throws: EncodingError.self) { try JSONTemplate.rows([[1], [number]], by: 0) }
    }
  }

  /// Brackets and quotes end what is skipped eight bytes at a time, wherever they are, also at the end of the text.
  @Test func valuesEndWhereverTheirBracketsAre() throws {
    for gap in 0..<24 {
      let space = String(repeating: " ", count: gap)
      let values = [
        "[\(space)[1],\(space)\"]\\\"[\"\(space)]", "{\"b\":\(space){\(space)}\(space)}", "2",
      ]
      let text = "{\"p\":\(values[0]),\"q\":\(values[1]),\"r\":\(values[2])}"
      try Array(text.utf8).withUnsafeBytes { bytes in
        let scanner = JSONScanner(bytes: bytes) { _ in }
        let found = try #require(try scanner.members(of: 0..<bytes.count))
        #expect(found.map { String(decoding: bytes[$0.value], as: UTF8.self) } == values)
        for end in 0..<bytes.count {
          let cut = UnsafeRawBufferPointer(rebasing: bytes[..<end])
          let part = JSONScanner(bytes: cut) { _ in }
          if end > 0 {
            #expect(throws: JSONScanner.Malformed.self) { try part.members(of: 0..<end) }
          }
        }
      }
    }
  }

  @Test func promptsAreWhatTheWholeHolds() throws {
    let scratch = try ScratchFolder()
    let record = try Self.record.get()
    let compact = JSONEncoder()
    compact.keyEncodingStrategy = .convertToSnakeCase
    // As Krylens writes it, and as another program might: on one line, with keys in any order.
    for json in [try record.json(), try compact.encode(record)] {
      let file = try RecordFile(try file(json, in: scratch))
      #expect(file.count == 3 && file.head.prompts.isEmpty)
      var read = file.head
      read.prompts = try (0..<3).map { try file.prompt($0) }
      #expect(try read.json() == record.json())
      #expect(try file.outline(prompt: 1).text == record.prompts[1].text)
    }
  }

  /// What the writer assembles from pieces equals what is encoded at once, byte by byte.
  @Test func piecesMakeTheWhole() throws {
    let scratch = try ScratchFolder()
    let record = try Self.record.get()
    let folder = try OutputFolder(making: scratch["made"], name: "made")
    let writer = try RecordWriter(folder, diagonal: record.settings.diagonal)
    let stored = try RecordFile(try file(try record.json(), in: scratch))
    for p in 0..<stored.count { try stored.copy(prompt: p, to: writer) { _ in } }
    _ = try writer.finish { _ in record }
    let written = try Data(contentsOf: URL(fileURLWithPath: scratch["made/result.json"]))
    #expect(written == (try record.json()))
    let names = try FileManager.default.contentsOfDirectory(atPath: scratch["made"]).sorted()
    #expect(names == ["coupling.csv", "result.json", "singular_values.csv", "trajectory.csv"])
  }

  /// A file cut short anywhere, or with a changed byte, gives numbers or an error that names the folder, never a crash.
  @Test func damagedFilesAreErrors() throws {
    let scratch = try ScratchFolder()
    let json = try Self.record.get().json()
    for cut in stride(from: 1, to: json.count - 2, by: json.count / 60) {
      let path = try file(json.prefix(cut), in: scratch)
      let error = #expect(throws: RunError.self) { try StoredRun(path) }
      #expect(error?.description.contains(path) == true)
      var other = json
      other[cut] = [0, 0x22, 0x5B, 0x7D, 0x5C, 0x2C][cut % 6]
      _ = try? StoredRun(try file(other, in: scratch))
    }
  }

  @Test(arguments: [
    "", " ", "[]", "{}", "{", "{\"prompts\"", "{\"prompts\":", "{\"prompts\":[", "{\"prompts\":[1,",
    "{\"prompts\":{}}", "{\"prompts\":[,]}", "{\"prompts\":[]]}", "{,}", "{\"a\" 1}", "{1:2}",
    "{\"prompts\":[{\"coupling\":[}]}", "\"", "\"\\", "{\"a\":\"\\", "null", "{\"prompts\":null}",
  ])
  func whatIsNoRecordIsAnError(_ text: String) throws {
    let scratch = try ScratchFolder()
    let path = try file(Data(text.utf8), in: scratch)
    #expect(throws: RunError.self) { try StoredRun(path) }
    #expect(throws: RunError.self) { try StoredRun(path, .identities) }
  }

  @Test func depthDoesNotMatter() throws {
    let scratch = try ScratchFolder()
    for bracket in ["[", "{\"prompts\":[", "{\"a\":"] {
      let path = try file(
        Data(String(repeating: bracket, count: 300_000).utf8), in: scratch)
      #expect(throws: RunError.self) { try StoredRun(path) }
    }
  }

  /// The error says where in the whole file the value is, as if it had been read at once.
  @Test func errorsNameTheValue() throws {
    let scratch = try ScratchFolder()
    var record = try Self.record.get()
    record.prompts[2].text = "mark"
    let json = String(decoding: try record.json(), as: UTF8.self)
      .replacing("\"text\" : \"mark\"", with: "\"text\" : 1")
    let path = try file(Data(json.utf8), in: scratch)
    let error = #expect(throws: RunError.self) { try StoredRun(path) }
    #expect(error?.description.contains("prompts.2.text") == true, "\(String(describing: error))")
  }

  /// A released meter leaves no thread, nor anything the thread holds.
  @Test func metersEnd() throws {
    weak var sampler: Sampler?
    do {
      let meter = MemoryMeter()
      meter.sample()
      sampler = meter.sampler
    }
    // The thread has stopped when the meter is gone, and releases its state a moment later.
    for _ in 0..<2000 where sampler != nil { usleep(1000) }
    #expect(sampler == nil)
  }
}
