import CKernels
import Foundation
import LinearAlgebra
import Testing

/// What the tasks of these tests share.
private final class Board: @unchecked Sendable {
  let counts: UnsafeMutablePointer<Int32>
  let count: Int
  var nested: ((Int) -> Void)?

  init(_ count: Int) {
    self.count = count
    counts = .allocate(capacity: count)
    counts.initialize(repeating: 0, count: count)
  }
  deinit { counts.deallocate() }

  /// Index i adds one to place i, then does what is nested.
  func run() {
    ck_parallel_for(
      Int64(count),
      { context, index in
        let board = Unmanaged<Board>.fromOpaque(context!).takeUnretainedValue()
        board.counts[Int(index)] += 1
        board.nested?(Int(index))
      }, Unmanaged.passUnretained(self).toOpaque())
  }
  func holds(_ value: Int32) -> Bool { (0..<count).allSatisfy { counts[$0] == value } }
}

extension KernelTests {
  @Suite struct Pool {
    @Test("every index runs once, in job after job", arguments: [1, 2, 3, 8] as [Int32])
    func everyIndexOnce(threads: Int32) {
      KernelTests.withThreads(threads) {
        #expect(ck_threads() == threads)
        for count in [0, 1, 2, 7, 100] {
          let board = Board(count)
          for _ in 0..<500 { board.run() }
          #expect(board.holds(500))
        }
      }
    }

    @Test("sleeping workers wake")
    func sleeping() {
      KernelTests.withThreads(3) {
        let board = Board(50)
        for _ in 0..<20 {
          usleep(1000)
          board.run()
        }
        #expect(board.holds(20))
      }
    }

    @Test("jobs within jobs and beside jobs")
    func nestedAndConcurrent() throws {
      let w = try GuardedMatrix(.f32, rows: 130, columns: 300, seed: 1)
      let x = normal(w.columns * 4, seed: 2)
      let thick = normal(w.columns * 40, seed: 3)
      let expected = w.product(.forward, x, vectors: 4)
      let expectedThick = w.product(.forward, thick, vectors: 40)
      nonisolated(unsafe) let matrix = w
      KernelTests.withThreads(3) {
        let boards = (0..<4).map { _ in Board(20) }
        let right = Board(80)
        for (k, board) in boards.enumerated() {
          board.nested = { i in
            let inner = Board(3)
            inner.run()
            if inner.holds(1), matrix.product(.forward, x, vectors: 4) == expected,
              matrix.product(.forward, thick, vectors: 40) == expectedThick
            {
              right.counts[20 * k + i] += 1
            }
          }
        }
        DispatchQueue.concurrentPerform(iterations: 4) { boards[$0].run() }
        #expect(right.holds(1))
      }
    }
  }
}
