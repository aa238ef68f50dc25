import Foundation
import Synchronization

/// Measures the memory of this process from now on, until the meter is released: the largest resident size, and the largest
/// anonymous part of it.
///
/// On Linux, /proc/self/status is sampled every 20 ms; if the system's own peak (VmHWM) has grown since the meter started,
/// the resident size is exact. On other systems both are 0.
public final class MemoryMeter: Sendable {
  let sampler = Sampler()

  /// Starts sampling.
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

  /// The current anonymous resident size.
  public static var privateBytes: Int { bytes("RssAnon:") ?? 0 }

  /// The physical memory of this machine.
  static var physicalBytes: Int { Int(clamping: ProcessInfo.processInfo.physicalMemory) }

  /// The current resident size.
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

/// The state shared by a meter and its thread, so that the thread does not retain the meter.
final class Sampler: Sendable {
  let peakPrivate = Atomic<Int>(0)
  let peakResident = Atomic<Int>(0)
  /// The peak of the process before the meter started.
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

  /// Stops sampling and waits for the thread to end.
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
