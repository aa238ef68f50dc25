import Files
import Foundation
import Testing

@testable import Checkpoint

@Suite struct MappedFileTests {
  private let page = Int(getpagesize())

  @Test func bytesAreThoseOfTheFile() throws {
    let folder = try TemporaryFolder()
    let bytes = (0..<3 * page + 5).map { UInt8(truncatingIfNeeded: $0 * 31) }
    let file = try MappedFile(try folder.write(bytes, to: "x"))
    #expect(file.bytes.elementsEqual(bytes))
    for advice in [MappedFile.Advice.willNeed, .dontNeed, .sequential] {
      file.advise(advice, 0..<file.count)
      file.advise(advice, 10..<11)
      file.advise(advice, file.count..<file.count)
    }
    #expect(file.bytes.elementsEqual(bytes))
    #expect(try #require(file.residentBytes(0..<file.count)) >= file.count)
    #expect(try file.copy(page - 1..<page + 1) == Array(bytes[page - 1..<page + 1]))
    try file.checkIntact()
  }

  @Test(arguments: ["nothing", "folder", "empty", "pipe", "null\0character"])
  func whatCannotBeMappedIsRefused(kind: String) throws {
    let folder = try TemporaryFolder()
    try folder.write([], to: "empty")
    try folder.write([1], to: "folder/file")
    #expect(mkfifo(folder.path + "/pipe", 0o600) == 0)
    let path = folder.path + "/" + kind
    let error = #expect(throws: FileError.self) { try MappedFile(path) }
    #expect(error?.caseName == "cannotRead")
    #expect(error?.description.contains(escaped(path)) == true)
  }

  /// Without the handler, SIGBUS would end the process in this test.
  @Test func aTruncationWhileMappedIsAnError() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array(repeating: 7, count: 8 * page), to: "x")
    let file = try MappedFile(path)
    let other = try MappedFile(path)
    #expect(truncate(path, off_t(2 * page)) == 0)
    // No page was touched yet: the size gives it away.
    #expect(throws: FileError.changedWhileMapped(file: path)) { try file.checkIntact() }
    #expect(file.bytes[2 * page - 1] == 7)
    #expect(file.bytes[5 * page] == 0)
    #expect(file.bytes[8 * page - 1] == 0)
    #expect(file.bytes[3 * page] == 0)  // below the first fault's address, so it faults again
    #expect(throws: FileError.changedWhileMapped(file: path)) { try file.checkIntact() }
    // The size is restored, but zeros were read.
    #expect(truncate(path, off_t(8 * page)) == 0)
    #expect(throws: FileError.changedWhileMapped(file: path)) { try file.checkIntact() }
    #expect(throws: FileError.changedWhileMapped(file: path)) { try file.copy(0..<1) }
    // Nothing was read through this mapping, but its contents are no longer those that were opened.
    #expect(throws: FileError.changedWhileMapped(file: path)) { try other.checkIntact() }
  }

  @Test func manyThreadsMayFaultAtOnce() async throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array(repeating: 7, count: 64 * page), to: "x")
    let file = try MappedFile(path)
    #expect(truncate(path, 0) == 0)
    let page = page
    let sums = await withTaskGroup(of: Int.self) { group in
      for t in 0..<8 {
        group.addTask { (0..<64).reduce(0) { $0 + Int(file.bytes[(($1 * 7 + t) % 64) * page]) } }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(sums == Array(repeating: 0, count: 8))
    #expect(throws: FileError.changedWhileMapped(file: path)) { try file.checkIntact() }
  }

  @Test func guardsAreUsedAgainUnbroken() throws {
    let folder = try TemporaryFolder()
    for i in 0..<20 {
      let path = try folder.write(Array(repeating: 1, count: page), to: "\(i)")
      let file = try MappedFile(path)
      try file.checkIntact()
      guard i % 2 == 0 else { continue }
      #expect(truncate(path, 0) == 0)
      #expect(file.bytes[0] == 0)
    }
  }
}
