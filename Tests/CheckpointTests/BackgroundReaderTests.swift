import Foundation
import Synchronization
import Testing

@testable import Files

/// What a background reader loads, how far ahead, and when it stops.
struct BackgroundReaderTests {
  /// Stands in for the disk: records what is asked for and loaded, and can hold back every load until it is allowed.
  private final class Disk: Sendable {
    struct Log {
      var requested: [Range<Int>] = []
      var loaded: [Range<Int>] = []
    }

    let log = Mutex(Log())
    private let permits: DispatchSemaphore?

    init(isHeldBack: Bool = false) { permits = isHeldBack ? DispatchSemaphore(value: 0) : nil }

    func permit(_ loads: Int) { for _ in 0..<loads { permits?.signal() } }

    var loader: BackgroundReader.Loader {
      .init(
        request: { part in self.log.withLock { $0.requested.append(part.range) } },
        load: { part in
          self.permits?.wait()
          self.log.withLock { $0.loaded.append(part.range) }
        })
    }

    var requested: [Range<Int>] { log.withLock { $0.requested } }
    var loaded: [Range<Int>] { log.withLock { $0.loaded } }

    /// Waits until this many pieces have been loaded.
    func await(_ count: Int) { while loaded.count < count { usleep(100) } }
  }

  private struct Stop: Error {}

  private func file(_ folder: TemporaryFolder, _ count: Int, _ name: String = "x") throws
    -> MappedFile
  {
    try MappedFile(try folder.write((0..<count).map { UInt8(truncatingIfNeeded: $0) }, to: name))
  }

  @Test(arguments: [1, 7, 100, 4096]) func piecesHoldEveryByteOnce(most: Int) throws {
    let folder = try TemporaryFolder()
    let files = try ["b", "a"].map { try file(folder, 300, $0) }
    let parts = [
      FilePart(files[0], 20..<60), FilePart(files[1], 0..<300), FilePart(files[0], 60..<75),
      FilePart(files[0], 100..<100), FilePart(files[0], 110..<130), FilePart(files[0], 120..<125),
    ]
    let pieces = parts.pieces(of: most)
    #expect(pieces.allSatisfy { 1...most ~= $0.range.count })
    for (f, file) in files.enumerated() {
      let bytes = pieces.filter { $0.file === file }.flatMap { Array($0.range) }
      #expect(bytes == (f == 0 ? Array(20..<75) + Array(110..<130) : Array(0..<300)))
    }
    #expect(pieces.first?.file === files[1])
    #expect(pieces.byteCount == 375)
  }

  @Test func aUnitIsLoadedBeforeTheNext() throws {
    let folder = try TemporaryFolder()
    let file = try file(folder, 100)
    let disk = Disk()
    let reader = BackgroundReader(pieceBytes: 10, disk.loader)
    reader.use(
      .init(1, [FilePart(file, 60..<100)]), then: .init(2, [FilePart(file, 0..<25)]))
    try reader.wait()
    #expect(reader.progress == .init(id: 1, loaded: 40, total: 40))
    disk.await(7)
    #expect(disk.loaded.flatMap { Array($0) } == Array(60..<100) + Array(0..<25))
    #expect(disk.requested == disk.loaded)
  }

  /// Of the next unit no more than the window is asked for, and the rest once it is in use; nothing is read twice.
  @Test(arguments: [0, 9, 10, 35, 1000]) func noMoreThanTheWindowIsReadAhead(window: Int) throws {
    let folder = try TemporaryFolder()
    let file = try file(folder, 100)
    let disk = Disk()
    let reader = BackgroundReader(pieceBytes: 10, disk.loader)
    let (first, second) = (
      BackgroundReader.Unit(1, [FilePart(file, 0..<40)]),
      BackgroundReader.Unit(2, [FilePart(file, 40..<100)])
    )
    reader.use(first, then: second, window: window)
    try reader.wait()
    let ahead = min(window / 10 * 10, 60)
    disk.await(4 + ahead / 10)
    #expect(disk.requested.last?.upperBound == 40 + ahead)
    reader.use(second)
    try reader.wait()
    #expect(disk.loaded.flatMap { Array($0) } == Array(0..<100))
  }

  @Test func whatIsNoLongerWantedIsForgotten() throws {
    let folder = try TemporaryFolder()
    let file = try file(folder, 1000)
    let disk = Disk(isHeldBack: true)
    let reader = BackgroundReader(pieceBytes: 1, disk.loader)
    reader.use(.init(1, [FilePart(file, 0..<900)]))
    disk.permit(1)
    disk.await(1)
    reader.use(.init(2, [FilePart(file, 900..<910)]))
    disk.permit(1000)
    try reader.wait()
    // Besides what the second unit needs, one piece may have been under way.
    #expect(disk.loaded.count <= 12)
    #expect(disk.loaded.suffix(10).flatMap { Array($0) } == Array(900..<910))
  }

  @Test func aReleasedUnitIsReadAgain() throws {
    let folder = try TemporaryFolder()
    let unit = BackgroundReader.Unit(1, [FilePart(try file(folder, 30), 0..<30)])
    let disk = Disk()
    let reader = BackgroundReader(pieceBytes: 10, disk.loader)
    for readings in [1, 1, 2] {
      if readings == 2 { reader.release(1) }
      reader.use(unit)
      try reader.wait()
      #expect(disk.loaded.count == 3 * readings)
    }
  }

  /// A wait ends at once when its report throws, even if the disk never answers; and the thread ends with the reader, long before
  /// everything has been read.
  @Test func aStalledWaitCanBeStopped() throws {
    let folder = try TemporaryFolder()
    let file = try file(folder, 10_000)
    let disk = Disk(isHeldBack: true)
    let hasEnded = Atomic<Bool>(false)
    do {
      let reader = BackgroundReader(pieceBytes: 1, disk.loader)
      reader.use(.init(1, [FilePart(file, 0..<10_000)]))
      #expect(throws: Stop.self) {
        try reader.wait { progress in
          #expect(progress == .init(id: 1, loaded: 0, total: 10_000))
          throw Stop()
        }
      }
      // The reader's end waits for the piece under way. How many are loaded until it begins is up to the system.
      Thread.detachNewThread {
        while !hasEnded.load(ordering: .sequentiallyConsistent) {
          disk.permit(1)
          usleep(1000)
        }
      }
    }
    hasEnded.store(true, ordering: .sequentiallyConsistent)
    let count = disk.loaded.count
    disk.permit(10_000)
    #expect(count < 10_000)
    #expect(disk.loaded.count == count)
  }

  @Test func pagesAreInMemoryAfterwards() throws {
    let folder = try TemporaryFolder()
    let page = Int(getpagesize())
    let file = try file(folder, 5 * page + 3)
    let reader = BackgroundReader()
    reader.use(.init(0, [FilePart(file, 10..<file.count)]))
    try reader.wait()
    #expect(try #require(file.residentBytes(0..<file.count)) >= file.count)
    try file.checkIntact()
  }

  @Test func aTruncationWhileReadingIsAnError() throws {
    let folder = try TemporaryFolder()
    let page = Int(getpagesize())
    let file = try file(folder, 8 * page)
    #expect(truncate(file.path, off_t(2 * page)) == 0)
    let reader = BackgroundReader()
    reader.use(.init(0, [FilePart(file, 0..<8 * page)]))
    try reader.wait()
    #expect(throws: FileError.changedWhileMapped(file: file.path)) { try file.checkIntact() }
    #expect(truncate(file.path, off_t(8 * page)) == 0)
    #expect(throws: FileError.changedWhileMapped(file: file.path)) { try file.checkIntact() }
  }

  @Test func theSmallestLimitOfAllGroupsCounts() throws {
    let folder = try TemporaryFolder()
    try folder.write("9223372036854771712\n", to: "memory/memory.limit_in_bytes")
    try folder.write("5000\n", to: "memory/a/memory.limit_in_bytes")
    try folder.write("7000\n", to: "memory/a/b/memory.limit_in_bytes")
    try folder.write("max\n", to: "c/memory.max")
    try folder.write("900\n", to: "c/d/memory.max")
    for (groups, limit) in [
      ("", nil), ("3:cpu:/a\n", nil), ("0::/c\n", nil), ("0::/c/d\n", 900), ("0::/c/d/e\n", 900),
      ("4:memory:/a/b\n3:cpu:/\n0::/\n", 5000), ("4:hugetlb,memory:/a\n0::/c/d\n", 900),
      ("1:memory\nnonsense\n", nil),
    ] {
      #expect(MemoryLimit.limit(of: groups, under: folder.path) == limit, "\(groups)")
    }
    #expect(MemoryLimit.bytes > 0)
  }
}
