import CKrylensHeader
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// An object that a caller can hold a handle of.
protocol HandleObject: AnyObject, Sendable {
  /// The noun in messages, such as `model`.
  static var kind: String { get }
}

/// The open handles of the process. A handle is an identifier that is looked up, never an address, so that invalid, closed or
/// confused handles are never dereferenced.
enum Handles {
  private struct Entry {
    let object: any HandleObject
    /// The process that opened it.
    let process: pid_t
  }

  /// The entries by identifier; accessed only under `lock`.
  private nonisolated(unsafe) static var entries: [UInt: Entry] = [:]
  /// The last identifier. Identifiers increase from a random one in steps of 16, so that they are unlikely to equal a pointer.
  private nonisolated(unsafe) static var last = UInt.random(in: 1 << 40..<1 << 46) << 4

  /// The lock. fork() is made while it is held, so that the child never inherits it locked by a thread that the child lacks.
  private nonisolated(unsafe) static let lock: UnsafeMutablePointer<pthread_mutex_t> = {
    let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
    pthread_atfork(
      { pthread_mutex_lock(Handles.lock) }, { pthread_mutex_unlock(Handles.lock) },
      { pthread_mutex_unlock(Handles.lock) })
    return lock
  }()

  private static func locked<Result>(_ body: () -> Result) -> Result {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return body()
  }

  /// Creates a handle of an object.
  static func open(_ object: any HandleObject) -> OpaquePointer {
    locked {
      last += 16
      entries[last] = Entry(object: object, process: getpid())
      return OpaquePointer(bitPattern: last)!
    }
  }

  /// The object of a handle. Throws `Failure`.
  static func object<Object: HandleObject>(
    _ handle: OpaquePointer?, as type: Object.Type = Object.self
  ) throws(Failure) -> Object {
    guard let handle else {
      throw Failure(KRYLENS_INVALID_HANDLE, "the \(Object.kind) is NULL; open one first")
    }
    let entry = locked { entries[UInt(bitPattern: handle)] }
    guard let entry else {
      throw Failure(
        KRYLENS_INVALID_HANDLE,
        "the \(Object.kind) is closed, or not a handle of this library; open one first")
    }
    guard let object = entry.object as? Object else {
      let kind = Swift.type(of: entry.object).kind
      throw Failure(KRYLENS_INVALID_HANDLE, "the handle is a \(kind)'s; give a \(Object.kind)")
    }
    guard entry.process == getpid() else {
      throw Failure(
        KRYLENS_FORKED,
        "the \(Object.kind) was opened before fork() by the parent process, whose threads this process does "
          + "not have; open it again here")
    }
    return object
  }

  /// Closes a handle; its object lives until all calls that use it have returned. Throws `Failure`.
  static func close<Object: HandleObject>(
    _ handle: OpaquePointer?, _ type: Object.Type
  ) throws(Failure) {
    _ = try object(handle, as: type)
    // Released after unlocking, since the release may take time and end threads.
    let entry = locked { entries.removeValue(forKey: UInt(bitPattern: handle!)) }
    withExtendedLifetime(entry) {}
  }
}
