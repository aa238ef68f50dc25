import Analysis
import CKrylensHeader
import Foundation

/// The version as the caller gets it, for as long as the process runs.
private nonisolated(unsafe) let version: UnsafePointer<CChar>? = strdup(krylensVersion).map {
  UnsafePointer($0)
}
private nonisolated(unsafe) let empty: UnsafePointer<CChar>? = strdup("").map { UnsafePointer($0) }

/// As `krylens.h` documents it.
@c @implementation
public func krylens_version() -> UnsafePointer<CChar>? { version }

/// As `krylens.h` documents it.
@c @implementation
public func krylens_last_error() -> UnsafePointer<CChar>? { LastError.message ?? empty }

/// As `krylens.h` documents it.
@c @implementation
public func krylens_free(_ memory: UnsafeMutableRawPointer?) { free(memory) }
