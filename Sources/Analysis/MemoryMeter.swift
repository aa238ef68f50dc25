import Foundation
import Synchronization

/// Measures this process's memory: the peak resident size the system keeps, and the peak of the anonymous part, sampled.
///
/// On Linux from /proc/self/status (VmHWM, RssAnon). Elsewhere both are 0.
public final class MemoryMeter: Sendable {
  private let peakPrivate = Atomic<Int>(0)
  private let isStopped = Atomic<Bool>(false)

  /// Begins to sample, every 20 ms.
  public init() {
    sample()
    let thread = Thread { [self] in
      while !isStopped.load(ordering: .relaxed) {
        sample()
        Thread.sleep(forTimeInterval: 0.02)
      }
    }
    thread.stackSize = 1 << 17
    thread.start()
  }

  /// Ends the sampling.
  public func stop() { isStopped.store(true, ordering: .relaxed) }

  /// Takes a sample now.
  public func sample() { peakPrivate.max(Self.privateBytes, ordering: .relaxed) }

  /// The anonymous resident size now.
  public static var privateBytes: Int { bytes("RssAnon:") ?? 0 }

  /// The resident size now.
  public static var residentBytes: Int { bytes("VmRSS:") ?? 0 }

  /// The largest anonymous resident size seen.
  public var peakPrivateBytes: Int { peakPrivate.load(ordering: .relaxed) }

  /// The largest resident size since the process began.
  public var peakResidentBytes: Int { Self.bytes("VmHWM:") ?? 0 }

  private static func bytes(_ key: String) -> Int? {
    guard let file = fopen("/proc/self/status", "r") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(
        decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard text.hasPrefix(key) else { continue }
      return text.dropFirst(key.count).split(whereSeparator: \.isWhitespace).first
        .flatMap { Int($0) }.map { $0 * 1024 }
    }
    return nil
  }
}

/// Seconds since some fixed moment, never running backwards.
func monotonicSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
