import Analysis
import CKrylensHeader
import Foundation

/// The version as a C string, which is never freed.
private nonisolated(unsafe) let version: UnsafePointer<CChar>? = strdup(krylensVersion).map {
  UnsafePointer($0)
}
private nonisolated(unsafe) let empty: UnsafePointer<CChar>? = strdup("").map { UnsafePointer($0) }

/// Documented in `krylens.h`.
@c @implementation
public func krylens_version() -> UnsafePointer<CChar>? { version }

/// Documented in `krylens.h`.
@c @implementation
public func krylens_last_error() -> UnsafePointer<CChar>? { LastError.message ?? empty }

/// Documented in `krylens.h`.
@c @implementation
public func krylens_free(_ memory: UnsafeMutableRawPointer?) { free(memory) }
