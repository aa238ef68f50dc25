import Foundation
import Synchronization

/// Loads parts of mapped files into memory in the background, one unit of work ahead: while one is in use, the next is read.
///
/// One thread reads in the order of the bytes in their files, with requests for some megabytes under way. Nothing is copied: the
/// pages are those of the mapping. Pages that cannot be read are left to those who use them (`MappedFile.checkIntact`).
public final class BackgroundReader: Sendable {
  /// Parts of files that are used together, such as the weights of a block.
  public struct Unit: Sendable {
    /// A number by which the unit is recognised.
    public let id: Int
    /// What it consists of.
    public let parts: [FilePart]

    /// A unit of these parts.
    public init(_ id: Int, _ parts: [FilePart]) { (self.id, self.parts) = (id, parts) }
  }

  /// How much of a unit has been loaded.
  public struct Progress: Sendable, Equatable {
    /// The unit's number.
    public let id: Int
    /// The bytes loaded.
    public let loaded: Int
    /// The bytes of the unit.
    public let total: Int
  }

  /// How a piece is read.
  struct Loader: Sendable {
    /// Asks for a piece that is loaded soon.
    var request: @Sendable (FilePart) -> Void = { $0.advise(.willNeed) }
    /// Loads a piece.
    var load: @Sendable (FilePart) -> Void = { $0.file.load($0.range) }
  }

  /// The bytes of a piece: long enough for a disk to read at its full rate, short enough to stop soon.
  private static let pieceBytes = 4 << 20

  private let worker: Worker
  private let pieceBytes: Int

  /// A reader that has nothing to read. Its thread ends with it.
  public convenience init() { self.init(pieceBytes: Self.pieceBytes, Loader()) }

  init(pieceBytes: Int, _ loader: Loader) {
    self.pieceBytes = pieceBytes
    worker = Worker(loader)
    let thread = Thread { [worker] in worker.run() }
    thread.stackSize = 1 << 17
    thread.name = "reader"
    thread.start()
  }

  deinit { worker.stop() }

  /// Says that `unit` is in use from now on and `next` will be used after it. What remains of `unit` is loaded first, then at
  /// most `window` bytes of `next`. Everything else that was to be read is forgotten.
  public func use(_ unit: Unit, then next: Unit? = nil, window: Int = .max) {
    worker.use(unit, then: next, window: window, pieceBytes: pieceBytes)
  }

  /// Says that a unit is no longer in use: if it is used again, it is read again.
  public func release(_ id: Int) { worker.release(id) }

  /// How much of the unit in use has been loaded; nil if there is none.
  public var progress: Progress? { worker.progress }

  /// Waits until the unit in use has been loaded. `report` is called each time another piece has been loaded, and after 0.1 s
  /// without one; it may throw to end the wait.
  public func wait(_ report: (Progress) throws -> Void = { _ in }) rethrows {
    // Set before the progress is looked at, so that no piece is missed.
    worker.isWaiting.store(true, ordering: .sequentiallyConsistent)
    defer { worker.isWaiting.store(false, ordering: .sequentiallyConsistent) }
    while let progress, progress.loaded < progress.total {
      try report(progress)
      _ = worker.hasLoaded.wait(timeout: .now() + 0.1)
    }
  }
}

/// The state shared by a reader and its thread, so that the thread does not retain the reader.
private final class Worker: Sendable {
  /// A unit and how far it has been read.
  private struct Reading {
    let id: Int
    let pieces: [FilePart]
    let total: Int
    /// The pieces that have been asked for.
    var requested = 0
    var requestedBytes = 0
    /// The pieces that have been loaded.
    var done = 0
    var loaded = 0

    init(_ unit: BackgroundReader.Unit, pieceBytes: Int) {
      id = unit.id
      pieces = unit.parts.pieces(of: pieceBytes)
      total = pieces.byteCount
    }

    /// The next piece to ask for, if that takes no more than `window` bytes in all.
    mutating func request(window: Int) -> FilePart? {
      guard requested < pieces.count else { return nil }
      let piece = pieces[requested]
      guard piece.range.count <= window - requestedBytes else { return nil }
      requested += 1
      requestedBytes += piece.range.count
      return piece
    }
  }

  private struct State {
    var inUse: Reading?
    var next: Reading?
    var window = 0
    var hasEnded = false

    /// Pieces to ask for, so that this many are under way.
    mutating func requests(_ depth: Int) -> [FilePart] {
      var found: [FilePart] = []
      func underWay(_ reading: Reading?) -> Int { reading.map { $0.requested - $0.done } ?? 0 }
      while underWay(inUse) + underWay(next) < depth,
        let piece = inUse?.request(window: .max) ?? next?.request(window: window)
      {
        found.append(piece)
      }
      return found
    }

    /// The next piece to load, with the unit it belongs to.
    var job: (id: Int, piece: FilePart)? {
      for case let reading? in [inUse, next] where reading.done < reading.requested {
        return (reading.id, reading.pieces[reading.done])
      }
      return nil
    }

    mutating func finish(_ id: Int, _ piece: FilePart) {
      func counted(_ reading: Reading?) -> Reading? {
        guard var reading, reading.id == id, reading.done < reading.requested,
          reading.pieces[reading.done].range == piece.range
        else { return reading }
        reading.done += 1
        reading.loaded += piece.range.count
        return reading
      }
      if inUse?.id == id { inUse = counted(inUse) } else { next = counted(next) }
    }
  }

  /// The pieces that are under way at a time: the system reads the later ones while the first is waited for.
  private static let depth = 3

  private let loader: BackgroundReader.Loader
  private let state = Mutex(State())
  private let wake = DispatchSemaphore(value: 0)
  /// Whether someone waits for pieces, and the signal that another one has been loaded.
  let isWaiting = Atomic<Bool>(false)
  let hasLoaded = DispatchSemaphore(value: 0)
  private let hasEnded = DispatchSemaphore(value: 0)

  init(_ loader: BackgroundReader.Loader) { self.loader = loader }

  func use(
    _ unit: BackgroundReader.Unit, then next: BackgroundReader.Unit?, window: Int, pieceBytes: Int
  ) {
    state.withLock { state in
      let known = [state.inUse, state.next]
      func reading(_ unit: BackgroundReader.Unit) -> Reading {
        known.lazy.compactMap { $0 }.first { $0.id == unit.id }
          ?? Reading(unit, pieceBytes: pieceBytes)
      }
      state.inUse = reading(unit)
      state.next = next.map(reading)
      state.window = window
    }
    wake.signal()
  }

  var progress: BackgroundReader.Progress? {
    state.withLock { state in
      state.inUse.map { BackgroundReader.Progress(id: $0.id, loaded: $0.loaded, total: $0.total) }
    }
  }

  func release(_ id: Int) {
    state.withLock { if $0.inUse?.id == id { $0.inUse = nil } }
  }

  func run() {
    while true {
      let (requests, job, isLast) = state.withLock {
        ($0.hasEnded ? [] : $0.requests(Self.depth), $0.job, $0.hasEnded)
      }
      if isLast { break }
      guard let job else {
        wake.wait()
        continue
      }
      requests.forEach(loader.request)
      loader.load(job.piece)
      state.withLock { $0.finish(job.id, job.piece) }
      if isWaiting.load(ordering: .sequentiallyConsistent) { hasLoaded.signal() }
    }
    hasEnded.signal()
  }

  /// Ends the thread after the piece that it is loading, and waits for that.
  func stop() {
    state.withLock { $0.hasEnded = true }
    wake.signal()
    hasEnded.wait()
  }
}
