import CKernels

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What computes: the kernels of one instruction set and a number of threads.
///
/// Nothing about an engine changes once it is made, so work with one engine never disturbs work with another in the same
/// process. `use` says which one a piece of work computes with; what is outside of any computes with `standard`. An engine's
/// threads end with it.
public final class Engine: Sendable {
  /// The instruction sets the kernels are compiled for. Sums are the same to the bit within one of them.
  public enum InstructionSet: Int32, CaseIterable, Sendable {
    case portable = 0
    case avx2 = 1
    case avx512 = 2

    /// The best one this processor has.
    public static var best: InstructionSet {
      InstructionSet(rawValue: ck_best_instruction_set()) ?? .portable
    }

    /// The name that records use.
    public var name: String { "\(self)" }
  }

  /// Up to this many vectors in one product, what becomes of a vector does not depend on how many others travel with it.
  ///
  /// It never depends on what the others are. Beyond this number sums have another order, which shows in the last bits.
  public static let independentVectors = Int(CK_INDEPENDENT_VECTORS)

  /// The kernels take up to this many vectors at once; more come in portions of so many.
  public static let vectorsAtOnce = Int(CK_VECTORS_AT_ONCE)

  /// All cores and the best instruction set, for work that names no engine. Made at its first use.
  public static let standard = Engine(threads: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))

  /// What the address points to is constant, except for the pool's own state, which is made for many threads.
  private nonisolated(unsafe) let engine: OpaquePointer

  /// An engine of the best instruction set with so many threads, the caller's included; fewer if the system gives no more.
  public init(threads: Int) {
    precondition(threads >= 1, "at least one thread computes")
    guard let engine = ck_engine_create(ck_best_instruction_set(), Int32(clamping: threads)) else {
      preconditionFailure("no memory is left for an engine")
    }
    self.engine = engine
  }

  /// An engine of this instruction set; nil if the processor does not have it.
  public init?(_ instructionSet: InstructionSet, threads: Int) {
    precondition(threads >= 1, "at least one thread computes")
    guard let engine = ck_engine_create(instructionSet.rawValue, Int32(clamping: threads)) else {
      return nil
    }
    self.engine = engine
  }

  deinit { ck_engine_destroy(engine) }

  /// How many threads compute, the caller's included.
  public var threads: Int { Int(ck_engine_threads(engine)) }

  /// The instruction set of its kernels.
  public var instructionSet: InstructionSet {
    InstructionSet(rawValue: ck_engine_instruction_set(engine)) ?? .portable
  }

  /// Runs `body`, all of whose products and loops compute with this engine: on the calling thread and on the engine's own.
  ///
  /// Uses may be nested, the innermost counts. It does not follow `body` to threads started by other means.
  public func use<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let before = ck_set_thread_engine(engine)
    defer { ck_set_thread_engine(before) }
    return try withExtendedLifetime(self, body)
  }

  /// The engine of the work at hand, for the kernels. One reading of a variable of the thread.
  ///
  /// Whoever set that variable keeps the engine alive until it is set back.
  package static var current: OpaquePointer { ck_thread_engine() ?? standard.engine }

  /// Threads of the engine of the work at hand.
  package static var currentThreads: Int { Int(ck_engine_threads(current)) }

  /// Runs `body` for every index below `count` on all threads of the current engine, and waits. Allocates nothing.
  ///
  /// Calls run at the same time, so what `body` captures must be safe to share. Pointers are when each index writes numbers
  /// of its own: capture those as `nonisolated(unsafe)`.
  package static func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
    withoutActuallyEscaping(body) { body in
      var body = body
      withUnsafeMutablePointer(to: &body) { context in
        ck_parallel_for(
          current, Int64(count),
          { context, index in
            context!.assumingMemoryBound(to: (@Sendable (Int) -> Void).self).pointee(Int(index))
          }, context)
      }
    }
  }

  /// One step of Gram–Schmidt for the rows of Y (b, n) against the rows of B (count, n): C (count, b) ← B Yᵀ, Y ← Y − Cᵀ B.
  package static func projectOut(
    _ basis: UnsafePointer<Double>, count: Int, dimension: Int,
    from y: UnsafeMutablePointer<Double>, vectors b: Int,
    coefficients: UnsafeMutablePointer<Double>
  ) {
    ck_project_out(current, basis, Int64(count), Int64(dimension), y, Int64(b), coefficients)
  }
}
