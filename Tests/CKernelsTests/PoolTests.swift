import Weights
import CKernels
import Foundation
import LinearAlgebra
import Synchronization
import Testing

/// State shared by the tasks of these tests.
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

  /// Index i increments entry i, then runs the nested job.
  func run() {
    ck_parallel_for(
      Engine.current, Int64(count),
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
    @Test("every index runs once, in job after job", arguments: [1, 2, 3, 8])
    func everyIndexOnce(threads: Int) {
      let engine = Engine(threads: threads)
      #expect(engine.threads == threads)
      engine.use {
        for count in [0, 1, 2, 7, 100] {
          let board = Board(count)
          for _ in 0..<500 { board.run() }
          #expect(board.holds(500))
        }
      }
    }

    @Test("sleeping workers wake")
    func sleeping() {
      Engine(threads: 3).use {
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
      let engine = Engine(threads: 3)
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
      DispatchQueue.concurrentPerform(iterations: 4) { k in engine.use { boards[k].run() } }
      #expect(right.holds(1))
    }

    /// Waits until `condition` holds, for 10 s at most, and returns whether it does.
    private static func comes(_ condition: () -> Bool) -> Bool {
      let end = ContinuousClock.now + .seconds(10)
      while ContinuousClock.now < end {
        if condition() { return true }
        sched_yield()
      }
      return false
    }

    @Test("threads that have nothing left to do help in a job within a job", arguments: [2, 3])
    func idleThreadsHelp(threads: Int) {
      let hasHelped = Atomic<Int>(0)
      Engine(threads: threads).use {
        for _ in 0..<20 {
          // All indices but one end at once, in the caller or in a worker, which is then idle.
          Engine.forEach(threads) { i in
            guard i == 1 else { return }
            // Until another thread is idle, the inner job runs on this one alone.
            let isHelped = Self.comes {
              let threads = Mutex<Set<ObjectIdentifier>>([])
              Engine.forEach(2) { _ in
                threads.withLock { _ = $0.insert(ObjectIdentifier(Thread.current)) }
                usleep(200)  // long enough for another to join
              }
              return threads.withLock { $0.count } == 2
            }
            if isHelped { hasHelped.add(1, ordering: .relaxed) }
          }
        }
      }
      #expect(hasHelped.load(ordering: .relaxed) == 20)
    }

    @Test("a caller that waits for its job takes no part in another caller's")
    func waitingCallersStayOut() {
      let isInWorker = Atomic(false)
      let hasEnded = Atomic(false)
      let others = Mutex<Set<ObjectIdentifier>>([])
      let engine = Engine(threads: 2)
      let isOver = DispatchSemaphore(value: 0)
      Thread.detachNewThread {
        let caller = ObjectIdentifier(Thread.current)
        // The caller's index ends when the worker has the other one, which lasts as long as the other caller's jobs.
        engine.use {
          Engine.forEach(2) { _ in
            if ObjectIdentifier(Thread.current) == caller {
              _ = Self.comes { isInWorker.load(ordering: .acquiring) }
            } else {
              isInWorker.store(true, ordering: .releasing)
              _ = Self.comes { hasEnded.load(ordering: .acquiring) }
            }
          }
        }
        isOver.signal()
      }
      #expect(Self.comes { isInWorker.load(ordering: .acquiring) })
      engine.use {
        for _ in 0..<50 {
          Engine.forEach(4) { _ in
            usleep(100)
            others.withLock { _ = $0.insert(ObjectIdentifier(Thread.current)) }
          }
        }
      }
      #expect(others.withLock { $0 } == [ObjectIdentifier(Thread.current)])
      hasEnded.store(true, ordering: .releasing)
      isOver.wait()
    }
  }

  @Suite struct Engines {
    /// The engines that the caller and all indices of a job see.
    private func seen(by engine: Engine) -> Set<UInt> {
      engine.use {
        let found = Mutex<Set<UInt>>([UInt(bitPattern: Engine.current)])
        Engine.forEach(64) { _ in
          usleep(50)  // long enough for all threads to join
          let current = UInt(bitPattern: Engine.current)
          found.withLock { _ = $0.insert(current) }
        }
        return found.withLock { $0 }
      }
    }

    @Test("work is done by the engine it was given, on all threads and within other work")
    func innermostCounts() throws {
      let outer = Engine(threads: 3)
      let inner = try #require(Engine(.portable, threads: 2))
      outer.use {
        let before = UInt(bitPattern: Engine.current)
        let within = seen(by: inner)
        #expect(within.count == 1 && !within.contains(before))
        #expect(seen(by: outer) == [before])
        #expect(UInt(bitPattern: Engine.current) == before)
      }
      #expect(inner.instructionSet == .portable && inner.threads == 2)
      #expect(outer.instructionSet == .best)
    }

    @Test("every index is run once, and as many at a time as is said", arguments: [1, 2, 3, 4, 7])
    func indicesAreDivided(threads: Int) {
      Engine(threads: threads).use {
        for count in 0...9 {
          for isDivided in [false, true] {
            let state = Mutex((calls: [Int](repeating: 0, count: count), now: 0, most: 0))
            Engine.forEach(count, isDivided: isDivided) { i in
              state.withLock {
                $0.calls[i] += 1
                $0.now += 1
                $0.most = max($0.most, $0.now)
              }
              usleep(50)
              state.withLock { $0.now -= 1 }
            }
            let (calls, _, most) = state.withLock { $0 }
            #expect(calls.allSatisfy { $0 == 1 })
            #expect(most <= (isDivided ? Engine.threadsWorking(on: count) : 1))
          }
        }
      }
    }

    /// The calling thread as listed by the system: PROCESS/task/THREAD.
    private static var threadName: String? {
      try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/thread-self")
    }

    @Test("an engine's threads end with it", .enabled(if: threadName != nil))
    func threadsEnd() throws {
      let names = Mutex<Set<String>>([])
      Engine(threads: 4).use {
        for _ in 0..<50 {
          Engine.forEach(16) { _ in
            usleep(50)
            guard let name = Self.threadName else { return }
            names.withLock { _ = $0.insert(name) }
          }
        }
      }
      let ours = names.withLock { $0 }.subtracting([try #require(Self.threadName)])
      #expect(!ours.isEmpty)
      for name in ours {
        // The system removes a thread from its list a moment after it has ended.
        for _ in 0..<10_000 where FileManager.default.fileExists(atPath: "/proc/\(name)") {
          usleep(1000)
        }
        #expect(!FileManager.default.fileExists(atPath: "/proc/\(name)"))
      }
    }

    /// The portable kernels give the same result whatever other engines do at the same time.
    @Test("engines of other instruction sets and threads change no bit of each other's products")
    func enginesDoNotMix() throws {
      let w = try GuardedMatrix(.bf16, rows: 130, columns: 300, seed: 1)
      let x = normal(w.columns * 5, seed: 2)
      nonisolated(unsafe) let matrix = w
      let engines = Engine.InstructionSet.allCases.flatMap { set in
        [1, 3].compactMap { Engine(set, threads: $0) }
      }
      let product = { @Sendable (engine: Engine) in
        engine.use { matrix.product(.forward, x, vectors: 5) }
      }
      let alone = engines.map(product)
      let wrong = Mutex(0)
      DispatchQueue.concurrentPerform(iterations: 20 * engines.count) { i in
        let k = i % engines.count
        if product(engines[k]) != alone[k] { wrong.withLock { $0 += 1 } }
      }
      #expect(wrong.withLock { $0 } == 0)
    }
  }
}
