import Analysis
import CKrylensHeader
import Files
import Lanczos

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The status and message of a failed call.
struct Failure: Error {
  let status: krylens_status
  let message: String

  init(_ status: krylens_status, _ message: String) {
    (self.status, self.message) = (status, message)
  }

  /// The failure of an invalid argument.
  static func argument(_ message: String) -> Failure {
    Failure(KRYLENS_INVALID_ARGUMENT, message)
  }

  /// The failure for an error of the libraries; its message refers to settings by name.
  init(_ error: any Error) {
    switch error {
    case let error as Failure: self = error
    case let error as RunError:
      let status =
        switch error {
        case .badSetting, .badVariable, .unfit, .emptyPrompt, .badPrompt: KRYLENS_INVALID_ARGUMENT
        case .interrupted: KRYLENS_STOPPED
        default: KRYLENS_FAILED
        }
      self.init(status, error.message.spelled(\.rawValue))
    case let error as any SettingError:
      self.init(KRYLENS_FAILED, error.message.spelled(\.rawValue))
    default: self.init(KRYLENS_FAILED, "\(error)")
    }
  }
}

/// Runs the body of a call, and stores the message of its failure for `krylens_last_error`.
func answer(_ work: () throws -> Void) -> krylens_status {
  LastError.clear()
  do {
    try work()
    return KRYLENS_OK
  } catch {
    let failure = Failure(error)
    // Line breaks between failures are kept; other control characters in a caller's texts, including NUL, are escaped.
    LastError.keep(
      failure.message.split(separator: "\n", omittingEmptySubsequences: false)
        .map { escaped(String($0)) }.joined(separator: "\n"))
    return failure.status
  }
}

/// The message of each thread's last failure.
enum LastError {
  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key) { free($0) }
    return key
  }()

  static func clear() {
    guard let message = pthread_getspecific(key) else { return }
    pthread_setspecific(key, nil)
    free(message)
  }

  static func keep(_ message: String) {
    clear()
    pthread_setspecific(key, strdup(message))
  }

  /// The message; nil if the last call did not fail.
  static var message: UnsafePointer<CChar>? {
    pthread_getspecific(key).map { UnsafePointer($0.assumingMemoryBound(to: CChar.self)) }
  }
}
