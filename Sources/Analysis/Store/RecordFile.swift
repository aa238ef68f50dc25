import Files
import Alignment
import Checkpoint
import Foundation

/// `result.json`, whose prompts and tables are located when it is opened and read one by one.
public final class RecordFile {
  /// The record without its prompts.
  public let head: RunRecord
  private let path: String
  private let file: MappedFile
  private let prompts: [Range<Int>]

  /// Opens the record in a run folder. Throws `RunError.badRun`.
  public init(_ path: String) throws(RunError) {
    self.path = path
    let file: MappedFile
    do {
      file = try MappedFile("\(path)/result.json")
    } catch {
      throw .badRun(path: path, reason: "\(error)")
    }
    self.file = file
    let cut = try Self.reading(path) { try Cut(0..<file.count, lists: ["prompts"], in: file) }
    prompts = cut.elements[0]
    head = try Self.reading(path) { try RunRecord(json: cut.rest) }
  }

  /// The number of prompts.
  public var count: Int { prompts.count }

  /// A prompt's record with those of its tables whose members have all of these texts; the others are not read. With
  /// `hasOverlaps` the overlaps of the subspaces are read too.
  ///
  /// Throws `RunError.badRun` for a file that is not a record, or has changed since it was opened.
  public func prompt(
    _ p: Int, hasOverlaps: Bool = true, tablesWith members: [String: String] = [:]
  ) throws -> PromptRecord {
    var cut = try cut(prompt: p)
    var record = try outline(cut, prompt: p)
    if !members.isEmpty {
      cut.elements[0] = try Self.reading(path, ["prompts", "\(p)", "coupling"]) {
        try cut.elements[0].filter { try has(members, $0) }
      }
    }
    try forEachTable(cut, prompt: p) { record.coupling.append($0) }
    if hasOverlaps { try forEachOverlap(cut, prompt: p) { record.overlap.append($0) } }
    return record
  }

  /// Whether an object's members of these names hold exactly these texts.
  private func has(_ texts: [String: String], _ object: Range<Int>) throws -> Bool {
    let members = try JSONScanner(bytes: file.bytes) { _ in }.members(of: object) ?? []
    return withExtendedLifetime(file) {
      texts.allSatisfy { key, text in
        members.contains {
          file.bytes[$0.key].elementsEqual(key.utf8)
            && file.bytes[$0.value].elementsEqual("\"\(text)\"".utf8)
        }
      }
    }
  }

  /// A prompt's record without its tables. Throws like `prompt`.
  func outline(prompt p: Int) throws -> PromptRecord { try outline(try cut(prompt: p), prompt: p) }

  /// Passes a prompt to a writer table by table. Throws like `prompt`, and what the writer throws.
  func copy(
    prompt p: Int, to writer: RecordWriter, change: (inout PromptRecord) -> Void
  ) throws {
    let cut = try cut(prompt: p)
    var record = try outline(cut, prompt: p)
    change(&record)
    try writer.append(record) { body in
      try forEachTable(cut, prompt: p, body)
    } overlap: { body in
      try forEachOverlap(cut, prompt: p, body)
    }
  }

  // MARK: Parts

  private func cut(prompt p: Int) throws -> Cut {
    try Self.reading(path, ["prompts", "\(p)"]) {
      try Cut(prompts[p], lists: ["coupling", "overlap"], in: file)
    }
  }

  private func outline(_ cut: Cut, prompt p: Int) throws -> PromptRecord {
    try Self.reading(path, ["prompts", "\(p)"]) { try Self.decode(PromptRecord.self, cut.rest) }
  }

  private func forEachTable(
    _ cut: Cut, prompt p: Int, _ body: (CouplingMatrix) throws -> Void
  ) throws {
    try forEach(cut.elements[0], ["prompts", "\(p)", "coupling"], body)
  }

  private func forEachOverlap(
    _ cut: Cut, prompt p: Int, _ body: (OverlapRecord) throws -> Void
  ) throws {
    try forEach(cut.elements[1], ["prompts", "\(p)", "overlap"], body)
  }

  private func forEach<Element: Decodable>(
    _ ranges: [Range<Int>], _ place: [String], _ body: (Element) throws -> Void
  ) throws {
    for (i, range) in ranges.enumerated() {
      let element = try Self.reading(path, place + ["\(i)"]) {
        try Self.decode(Element.self, Data(try file.copy(range)))
      }
      try body(element)
    }
    // Drop the pages of everything read so far, since parts share pages at their ends.
    file.advise(.dontNeed, 0..<file.count)
  }

  private static func decode<Value: Decodable>(_ type: Value.Type, _ json: Data) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(type, from: json)
  }

  /// Returns what `body` returns, and reports its errors as those of the run at `path`, in the value at `place`.
  private static func reading<Value>(
    _ path: String, _ place: [String] = [], _ body: () throws -> Value
  ) throws(RunError) -> Value {
    do {
      return try body()
    } catch let error as DecodingError {
      throw .badRun(path: path, reason: "result.json: \(error.place(after: place))")
    } catch let error as JSONScanner.Malformed {
      throw .badRun(path: path, reason: "result.json: it is not JSON at byte \(error.position)")
    } catch {
      throw .badRun(path: path, reason: "\(error)")
    }
  }
}

/// An object in a file, with some of its lists cut out.
private struct Cut {
  /// The object with the lists empty.
  let rest: Data
  /// The positions of the elements of each list.
  var elements: [[Range<Int>]]

  init(_ range: Range<Int>, lists: [String], in file: MappedFile) throws {
    // Scanned pages are dropped, since the whole file may be larger than the memory a run may take.
    let scanner = JSONScanner(bytes: file.bytes) { position in
      file.advise(.dontNeed, range.lowerBound..<max(range.lowerBound, min(position, file.count)))
    }
    var elements = lists.map { _ in [Range<Int>]() }
    var rest = Data()
    var end = range.lowerBound
    for member in try scanner.members(of: range) ?? [] {
      guard let list = lists.firstIndex(where: { file.bytes[member.key].elementsEqual($0.utf8) }),
        let found = try scanner.elements(of: member.value)
      else { continue }
      elements[list] = found
      rest.append(contentsOf: try file.copy(end..<member.value.lowerBound))
      rest.append(contentsOf: "[]".utf8)
      end = member.value.upperBound
    }
    rest.append(contentsOf: try file.copy(end..<range.upperBound))
    file.advise(.dontNeed, 0..<file.count)
    try withExtendedLifetime(file) { try file.checkIntact() }
    (self.rest, self.elements) = (rest, elements)
  }
}

extension DecodingError {
  /// The key, within the value at `place`, and what is wrong with it.
  func place(after place: [String] = []) -> String {
    let (keys, context): ([any CodingKey], DecodingError.Context)
    switch self {
    case .typeMismatch(_, let c), .valueNotFound(_, let c), .dataCorrupted(let c):
      (keys, context) = (c.codingPath, c)
    case .keyNotFound(let key, let c): (keys, context) = (c.codingPath + [key], c)
    @unknown default: return "\(self)"
    }
    let path = place + keys.map { $0.intValue.map(String.init) ?? $0.stringValue }
    return "\(path.joined(separator: ".")): \(context.debugDescription)"
  }
}
