import CMappedFile
import Foundation

/// A file, read-only in memory: its bytes are fetched by the system when they are touched, and dropped when it needs room.
///
/// If the file shrinks while it is mapped, reading gives zeros instead of ending the process, and `checkIntact` throws.
/// Whoever computes from `bytes` asks `checkIntact` before believing the result.
public final class MappedFile: @unchecked Sendable {
  /// The path it was opened by.
  public let path: String
  /// The bytes, on a page boundary; valid as long as this object lives, which using them does not prolong.
  public let bytes: UnsafeRawBufferPointer
  private let descriptor: CInt
  private let guardian: OpaquePointer
  /// What the file was when it was opened.
  private let identity: FileIdentity

  /// Maps the regular file at `path`, which must not be empty. Throws `FileError.cannotRead`, and `notAModel` for what
  /// Git has in place of a large file that was not fetched.
  public convenience init(_ path: String) throws(FileError) {
    guard !path.utf8.contains(0) else {
      throw .cannotRead(file: path, reason: "the path holds a null character")
    }
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw .cannotRead(file: path, reason: String(cString: strerror(errno)))
    }
    try self.init(descriptor: descriptor, path: path)
  }

  /// Maps an open file, which is closed with this object or when it cannot be mapped; `path` is for messages.
  package init(descriptor: CInt, path: String) throws(FileError) {
    func failure(_ reason: String) -> FileError { .cannotRead(file: path, reason: reason) }
    func systemFailure() -> FileError { failure(String(cString: strerror(errno))) }
    var keepOpen = false
    defer { if !keepOpen { close(descriptor) } }

    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw systemFailure() }
    switch status.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw failure("it is a folder")
    default: throw failure("it is no regular file")
    }
    guard status.st_size > 0 else { throw failure("it is empty") }
    let count = Int(status.st_size)
    guard let start = mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0), start != MAP_FAILED
    else { throw systemFailure() }
    guard let guardian = cmf_register(start, count) else {
      munmap(start, count)
      throw failure("no memory or no signal handler to guard it")
    }
    keepOpen = true
    self.path = path
    self.descriptor = descriptor
    self.guardian = guardian
    identity = FileIdentity(status)
    bytes = UnsafeRawBufferPointer(start: start, count: count)
    guard !bytes.starts(with: "version https://git-lfs.github.com/".utf8) else {
      throw .notAModel(
        path: path, reason: "a pointer of Git LFS, not the file itself",
        remedy: "fetch it with git lfs pull, or download it")
    }
  }

  deinit {
    cmf_unregister(guardian)
    munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress!), bytes.count)
    close(descriptor)
  }

  /// Bytes of the file when it was opened.
  public var count: Int { bytes.count }

  /// Throws `FileError.changedWhileMapped` if a page could not be read, or the file is no longer what it was: its size,
  /// the time of its last change of content, or that of its last change of any kind, which nobody can set back.
  public func checkIntact() throws(FileError) {
    var status = stat()
    guard
      cmf_is_broken(guardian) == 0, fstat(descriptor, &status) == 0,
      FileIdentity(status) == identity
    else { throw .changedWhileMapped(file: path) }
  }

  /// The bytes of `range`, copied, so that nobody can change them while they are interpreted. Throws
  /// `FileError.changedWhileMapped`.
  public func copy(_ range: Range<Int>) throws(FileError) -> [UInt8] {
    let copy = [UInt8](bytes[range])
    try checkIntact()
    return copy
  }

  /// What will happen to a range of bytes.
  public enum Advice: Sendable {
    /// It is read soon: fetch it now, in the background.
    case willNeed
    /// It is not read soon: its pages may be dropped, and are fetched again when touched.
    case dontNeed
    /// It is read from front to back.
    case sequential
  }

  /// Tells the system what will happen to `range`. Only pages that lie wholly inside are dropped. A hint: failure is silent.
  public func advise(_ advice: Advice, _ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "range outside the file")
    let page = Int(getpagesize())
    var (first, last) = (range.lowerBound, range.upperBound)
    switch advice {
    case .dontNeed:
      first = (first + page - 1) / page * page
      if last < count { last = last / page * page }
    case .willNeed, .sequential: first = first / page * page
    }
    guard first < last else { return }
    let start = UnsafeMutableRawPointer(mutating: bytes.baseAddress! + first)
    let hint =
      switch advice {
      case .willNeed: MADV_WILLNEED
      case .dontNeed: MADV_DONTNEED
      case .sequential: MADV_SEQUENTIAL
      }
    _ = madvise(start, last - first, CInt(hint))
  }

  /// How many bytes of `range`, rounded out to pages, the system holds in memory; nil if it does not say.
  ///
  /// Counts pages of the file cache, whether or not this process has touched them.
  public func residentBytes(_ range: Range<Int>) -> Int? {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "range outside the file")
    let resident = cmf_resident_bytes(bytes.baseAddress! + range.lowerBound, range.count)
    return resident < 0 ? nil : Int(resident)
  }
}

/// By what a file that was changed in place is told from what it was.
private struct FileIdentity: Equatable {
  private let size: Int64
  private let times: [Int]

  init(_ status: stat) {
    size = Int64(status.st_size)
    #if os(Linux)
      let (content, any) = (status.st_mtim, status.st_ctim)
    #else
      let (content, any) = (status.st_mtimespec, status.st_ctimespec)
    #endif
    times = [content.tv_sec, content.tv_nsec, any.tv_sec, any.tv_nsec].map { Int($0) }
  }
}
