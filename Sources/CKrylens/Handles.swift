import CKrylensHeader
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What a caller's handle can stand for.
protocol HandleObject: AnyObject, Sendable {
  /// What messages call it: `model`.
  static var kind: String { get }
}

/// The open handles of the process. A handle is a name that is looked up, never an address, so that none a caller makes up, keeps
/// too long or confuses with another is followed.
enum Handles {
  private struct Entry {
    let object: any HandleObject
    /// The process that opened it.
    let process: pid_t
  }

  /// By name; only under `lock`.
  private nonisolated(unsafe) static var entries: [UInt: Entry] = [:]
  /// Names ascend from a random one and are multiples of 16, so that they are no likely pointers of anything else.
  private nonisolated(unsafe) static var last = UInt.random(in: 1 << 40..<1 << 46) << 4

  /// Held by the forking thread, so that the child does not inherit it from a thread that does not exist there.
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

  /// A new handle of an object.
  static func open(_ object: any HandleObject) -> OpaquePointer {
    locked {
      last += 16
      entries[last] = Entry(object: object, process: getpid())
      return OpaquePointer(bitPattern: last)!
    }
  }

  /// What a handle stands for. Throws `Failure`.
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
        "the \(Object.kind) is closed, or no handle of this library; open one first")
    }
    guard let object = entry.object as? Object else {
      let kind = Swift.type(of: entry.object).kind
      throw Failure(KRYLENS_INVALID_HANDLE, "the handle is a \(kind)'s; give a \(Object.kind)")
    }
    guard entry.process == getpid() else {
      throw Failure(
        KRYLENS_FORKED,
        "the \(Object.kind) was opened before this process was forked from the one that opened it, where "
          + "its threads stayed; open it again in this one")
    }
    return object
  }

  /// Closes a handle; what it stands for lives as long as a call that uses it. Throws `Failure`.
  static func close<Object: HandleObject>(
    _ handle: OpaquePointer?, _ type: Object.Type
  ) throws(Failure) {
    _ = try object(handle, as: type)
    // Released after the lock, since that may take time and end threads.
    let entry = locked { entries.removeValue(forKey: UInt(bitPattern: handle!)) }
    withExtendedLifetime(entry) {}
  }
}
