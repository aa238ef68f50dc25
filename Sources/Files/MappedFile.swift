import CMappedFile
import Foundation

/// A file mapped read-only into memory: the system loads its pages when they are touched, and may drop them under memory
/// pressure.
///
/// If the file shrinks while it is mapped, reading gives zeros instead of ending the process, and `checkIntact` throws.
/// Code that computes from `bytes` must call `checkIntact` before it uses the result.
public final class MappedFile: @unchecked Sendable {
  /// The path it was opened by.
  public let path: String
  /// The bytes, beginning on a page boundary. They are valid as long as this object lives; using them does not keep it alive.
  public let bytes: UnsafeRawBufferPointer
  private let descriptor: CInt
  private let guardian: OpaquePointer
  /// The file's size and times when it was opened.
  private let identity: FileIdentity

  /// Maps the regular file at `path`, which must not be empty. Throws `FileError.cannotRead`, and `notAModel` for a Git LFS
  /// pointer in place of a file that was not fetched.
  public convenience init(_ path: String) throws(FileError) {
    guard !path.utf8.contains(0) else {
      throw .cannotRead(file: path, reason: "the path contains a null character")
    }
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw .cannotRead(file: path, reason: String(cString: strerror(errno)))
    }
    try self.init(descriptor: descriptor, path: path)
  }

  /// Maps an open file. The descriptor is closed when this object goes away, or at once if mapping fails; `path` is for
  /// messages.
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
    default: throw failure("not a regular file")
    }
    guard status.st_size > 0 else { throw failure("it is empty") }
    let count = Int(status.st_size)
    guard let start = mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0), start != MAP_FAILED
    else { throw systemFailure() }
    guard let guardian = cmf_register(start, count) else {
      munmap(start, count)
      throw failure("no memory, or the SIGBUS handler cannot be installed")
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

  /// The size of the file in bytes when it was opened.
  public var count: Int { bytes.count }

  /// Throws `FileError.changedWhileMapped` if a page could not be read, or if the file's size, its modification time, or its
  /// status-change time, which no program can set back, differ from those at opening.
  public func checkIntact() throws(FileError) {
    var status = stat()
    guard
      cmf_is_broken(guardian) == 0, fstat(descriptor, &status) == 0,
      FileIdentity(status) == identity
    else { throw .changedWhileMapped(file: path) }
  }

  /// A copy of the bytes of `range`, which cannot change while it is being parsed. Throws `FileError.changedWhileMapped`.
  public func copy(_ range: Range<Int>) throws(FileError) -> [UInt8] {
    let copy = [UInt8](bytes[range])
    try checkIntact()
    return copy
  }

  /// Reads the bytes from `start` on into `buffer`, which are then not part of this process's memory as pages of the mapping are.
  /// Throws `FileError.cannotRead`, and `changedWhileMapped` if the file ends too soon.
  public func read(from start: Int, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) {
    precondition(start >= 0 && start + buffer.count <= count, "range outside the file")
    var done = 0
    while done < buffer.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let read = pread(descriptor, rest.baseAddress, rest.count, off_t(start + done))
      switch read {
      case 0: throw .changedWhileMapped(file: path)
      case ..<0 where errno != EINTR:
        throw .cannotRead(file: path, reason: String(cString: strerror(errno)))
      default: done += max(0, read)
      }
    }
  }

  /// How a range of bytes will be used.
  public enum Advice: Sendable {
    /// It will be read soon: start to load it now. The call returns at once, or, for a large range, when the system has taken
    /// the last request.
    case willNeed
    /// It will not be read soon: its pages may be dropped, and are loaded again when touched.
    case dontNeed
    /// It will be read from front to back.
    case sequential
  }

  /// Tells the system how `range` will be used. Only pages that lie wholly inside it are dropped. This is a hint: failures
  /// are ignored.
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
    let hint =
      switch advice {
      case .willNeed: MADV_WILLNEED
      case .dontNeed: MADV_DONTNEED
      case .sequential: MADV_SEQUENTIAL
      }
    // Linux loads no more for one WILLNEED than it reads ahead, by default 128 KiB, and ignores the rest.
    let step = advice == .willNeed ? 1 << 17 : last - first
    for part in stride(from: first, to: last, by: step) {
      let start = UnsafeMutableRawPointer(mutating: bytes.baseAddress! + part)
      _ = madvise(start, min(step, last - part), CInt(hint))
    }
  }

  /// Loads `range`, extended to whole pages, into memory and returns when it is there. A page that cannot be read is noted, as
  /// when it is used.
  public func load(_ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "range outside the file")
    cmf_touch(bytes.baseAddress! + range.lowerBound, range.count)
  }

  /// How many bytes of `range`, extended to whole pages, are in memory; nil if the system does not say.
  ///
  /// Pages in the file cache count, whether or not this process has touched them.
  public func residentBytes(_ range: Range<Int>) -> Int? {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "range outside the file")
    let resident = cmf_resident_bytes(bytes.baseAddress! + range.lowerBound, range.count)
    return resident < 0 ? nil : Int(resident)
  }
}

/// The size and times by which a change of a file in place is detected.
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
