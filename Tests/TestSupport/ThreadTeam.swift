import Foundation
public import Processes

/// Threads in place of processes: `ThreadTeam.run(3) { communicator in … }` calls the closure in three threads at once.
///
/// Sums are taken in the order of the ranks, so they are the same to the bit in every thread and every run.
public enum ThreadTeam {
  /// The results of the closure in every thread. Throws the error of the lowest rank that threw.
  public static func run<T: Sendable>(
    _ size: Int, _ body: @escaping @Sendable (any Communicator) throws -> T
  ) throws -> [T] {
    let meeting = Meeting(size)
    nonisolated(unsafe) var results = [Result<T, any Error>?](repeating: nil, count: size)
    let lock = NSLock()
    let ended = DispatchGroup()
    for rank in 0..<size {
      ended.enter()
      let thread = Thread {
        let result = Result { try body(Member(rank: rank, meeting)) }
        lock.withLock { results[rank] = result }
        ended.leave()
      }
      thread.stackSize = 16 << 20
      thread.start()
    }
    ended.wait()
    return try results.map { try $0!.get() }
  }
}

/// A place where threads wait for each other and leave the addresses of their operands.
private final class Meeting: @unchecked Sendable {
  let size: Int
  private let condition = NSCondition()
  private var arrived = 0
  private var round = 0
  private var operands: [UnsafeMutableRawBufferPointer]

  init(_ size: Int) {
    self.size = size
    operands = [UnsafeMutableRawBufferPointer](repeating: .init(start: nil, count: 0), count: size)
  }

  func wait() {
    condition.lock()
    defer { condition.unlock() }
    let mine = round
    arrived += 1
    if arrived == size {
      (arrived, round) = (0, round + 1)
      condition.broadcast()
    }
    // A thread that ended early would leave the others here for ever.
    let limit = Date(timeIntervalSinceNow: 120)
    while round == mine {
      precondition(condition.wait(until: limit), "a thread of the team did not make this call")
    }
  }

  /// Calls `body` with everybody's operands once all have arrived; returns when all are done with them.
  func exchange(
    _ rank: Int, _ mine: UnsafeMutableRawBufferPointer,
    _ body: ([UnsafeMutableRawBufferPointer]) -> Void
  ) {
    condition.withLock { operands[rank] = mine }
    wait()
    body(condition.withLock { operands })
    wait()
  }
}

private final class Member: Communicator, @unchecked Sendable {
  let rank: Int
  private let meeting: Meeting
  private(set) var traffic = Traffic()

  init(rank: Int, _ meeting: Meeting) { (self.rank, self.meeting) = (rank, meeting) }

  var size: Int { meeting.size }

  func sum(_ values: UnsafeMutableBufferPointer<Float>) { sum(of: values) }
  func sum(_ values: UnsafeMutableBufferPointer<Double>) { sum(of: values) }

  private func sum<Scalar: FloatingPoint>(of values: UnsafeMutableBufferPointer<Scalar>) {
    traffic.add(bytes: values.count * MemoryLayout<Scalar>.stride)
    var total = [Scalar](repeating: 0, count: values.count)
    meeting.exchange(rank, UnsafeMutableRawBufferPointer(values)) { all in
      for operand in all {
        let part = operand.bindMemory(to: Scalar.self)
        precondition(part.count == values.count, "operands of a sum differ in length")
        for i in total.indices { total[i] += part[i] }
      }
    }
    _ = values.update(fromContentsOf: total)
    meeting.wait()
  }

  func gather(
    _ part: UnsafeBufferPointer<Double>, into whole: UnsafeMutableBufferPointer<Double>,
    counts: [Int]
  ) {
    precondition(part.count == counts[rank], "a part has another length than was announced")
    traffic.add(bytes: part.count * MemoryLayout<Double>.stride)
    var copy = Array(part)
    copy.withUnsafeMutableBytes { copy in
      meeting.exchange(rank, copy) { all in
        var next = 0
        for operand in all {
          for value in operand.bindMemory(to: Double.self) {
            whole[next] = value
            next += 1
          }
        }
      }
    }
  }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {
    traffic.add(bytes: bytes.count)
    meeting.exchange(rank, bytes) { all in
      if rank != root { bytes.copyMemory(from: UnsafeRawBufferPointer(all[root])) }
    }
  }

  func barrier() { meeting.wait() }
}
