import Foundation
import Synchronization

/// Measures the memory this process takes from now on, until the meter goes away: the largest resident size, and of that the
/// largest anonymous part.
///
/// On Linux from /proc/self/status, sampled every 20 ms; where the peak that the system itself keeps (VmHWM) has grown since
/// the meter began, that is exact. Elsewhere both are 0.
public final class MemoryMeter: Sendable {
  let sampler = Sampler()

  /// Begins to sample.
  public init() {
    let sampler = sampler
    sampler.sample()
    let thread = Thread { sampler.run() }
    thread.stackSize = 1 << 17
    thread.start()
  }

  deinit { sampler.stop() }

  /// Takes a sample now.
  public func sample() { sampler.sample() }

  /// The anonymous resident size now.
  public static var privateBytes: Int { bytes("RssAnon:") ?? 0 }

  /// What this machine has.
  static var physicalBytes: Int { Int(clamping: ProcessInfo.processInfo.physicalMemory) }

  /// The resident size now.
  public static var residentBytes: Int { bytes("VmRSS:") ?? 0 }

  /// The largest anonymous resident size seen.
  public var peakPrivateBytes: Int { sampler.peakPrivate.load(ordering: .relaxed) }

  /// The largest resident size since the meter began.
  public var peakResidentBytes: Int {
    let highest = Self.highestResidentBytes
    return highest > sampler.highestBefore
      ? highest : sampler.peakResident.load(ordering: .relaxed)
  }

  fileprivate static var highestResidentBytes: Int { bytes("VmHWM:") ?? 0 }

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

/// What the meter and its thread share, so that the thread does not keep the meter.
final class Sampler: Sendable {
  let peakPrivate = Atomic<Int>(0)
  let peakResident = Atomic<Int>(0)
  /// The process's peak before there was a meter.
  let highestBefore = MemoryMeter.highestResidentBytes
  private let end = DispatchSemaphore(value: 0)
  private let hasEnded = DispatchSemaphore(value: 0)

  func sample() {
    peakPrivate.max(MemoryMeter.privateBytes, ordering: .relaxed)
    peakResident.max(MemoryMeter.residentBytes, ordering: .relaxed)
  }

  func run() {
    while end.wait(timeout: .now() + .milliseconds(20)) == .timedOut { sample() }
    hasEnded.signal()
  }

  /// Ends the sampling, and waits until the thread is done.
  func stop() {
    end.signal()
    hasEnded.wait()
  }
}

/// Seconds since some fixed moment, never running backwards.
func monotonicSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
