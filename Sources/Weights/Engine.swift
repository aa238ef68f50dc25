import CKernels

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The kernels of one instruction set and a pool of threads that work is computed with.
///
/// An engine never changes once it is made, so work with one engine never disturbs work with another in the same
/// process. `use` selects the engine for a piece of work; all other work uses `standard`. An engine's threads end
/// when it is deallocated.
public final class Engine: Sendable {
  /// The instruction sets that the kernels are compiled for. Within one of them, sums are reproducible to the bit.
  public enum InstructionSet: Int32, CaseIterable, Sendable {
    case portable = 0
    case avx2 = 1
    case avx512 = 2

    /// The best instruction set of this processor.
    public static var best: InstructionSet {
      InstructionSet(rawValue: ck_best_instruction_set()) ?? .portable
    }

    /// The environment variable that names another one, to get the bits or the speed of an older processor.
    public static let variable = "KRYLENS_INSTRUCTION_SET"

    /// The instruction set of a value of `variable`: the best if there is none; nil if the processor has no such set.
    public init?(named value: String?) {
      let best = InstructionSet.best
      guard let value, !value.isEmpty else {
        self = best
        return
      }
      guard let set = InstructionSet.allCases.first(where: { $0.name == value }),
        set.rawValue <= best.rawValue
      else { return nil }
      self = set
    }

    /// The one that engines have unless they are told another.
    static let usual = InstructionSet(named: getenv(variable).map { String(cString: $0) }) ?? .best

    /// The name used in records.
    public var name: String { "\(self)" }
  }

  /// The largest number of vectors in one product for which the result of a vector does not depend on how many others
  /// are computed with it.
  ///
  /// It never depends on the values of the others. Beyond this number, sums are taken in another order, which changes
  /// the last bits.
  public static let independentVectors = Int(CK_INDEPENDENT_VECTORS)

  /// The largest number of vectors that the kernels take at once; more are split into portions of this size.
  public static let vectorsAtOnce = Int(CK_VECTORS_AT_ONCE)

  /// All cores and the usual instruction set, for work that selects no engine. Created at its first use.
  public static let standard = Engine(threads: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))

  /// Points to constant data, except for the pool's own state, which is thread-safe.
  private nonisolated(unsafe) let engine: OpaquePointer

  /// An engine of the best instruction set, or of the one that the environment names, with this many threads, including the
  /// caller's; fewer if the system cannot start them.
  public init(threads: Int) {
    precondition(threads >= 1, "an engine has at least one thread")
    let set = InstructionSet.usual.rawValue
    guard let engine = ck_engine_create(set, Int32(clamping: threads)) else {
      preconditionFailure("out of memory for an engine")
    }
    self.engine = engine
  }

  /// An engine of this instruction set; nil if the processor lacks it.
  public init?(_ instructionSet: InstructionSet, threads: Int) {
    precondition(threads >= 1, "an engine has at least one thread")
    guard let engine = ck_engine_create(instructionSet.rawValue, Int32(clamping: threads)) else {
      return nil
    }
    self.engine = engine
  }

  deinit { ck_engine_destroy(engine) }

  /// The number of threads that compute, including the caller's.
  public var threads: Int { Int(ck_engine_threads(engine)) }

  /// The instruction set of its kernels.
  public var instructionSet: InstructionSet {
    InstructionSet(rawValue: ck_engine_instruction_set(engine)) ?? .portable
  }

  /// Runs `body` with this engine: all its products and loops compute on the calling thread and the engine's own
  /// threads.
  ///
  /// Uses may be nested; the innermost one counts. Threads that `body` starts by other means do not inherit the
  /// engine.
  public func use<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let before = ck_set_thread_engine(engine)
    defer { ck_set_thread_engine(before) }
    return try withExtendedLifetime(self, body)
  }

  /// The engine of the work in progress, for the kernels; reads one thread-local variable.
  ///
  /// The caller of `use`, which set that variable, keeps the engine alive until it is reset.
  package static var current: OpaquePointer { ck_thread_engine() ?? standard.engine }

  /// The number of threads of the current engine.
  package static var currentThreads: Int { Int(ck_engine_threads(current)) }

  /// Runs `body` for every index below `count` on all threads of the current engine, and waits. Allocates nothing.
  ///
  /// Calls run in parallel, so everything `body` captures must be safe to share. Pointers are safe if each index
  /// writes its own elements: capture them as `nonisolated(unsafe)`.
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

  /// Runs `body` for every index below `count`: on one thread each if `isDivided`, otherwise one after another. The last indices run
  /// one after another too if they would leave half of the threads without work, so that all threads may work in each.
  package static func forEach(_ count: Int, isDivided: Bool, _ body: @Sendable (Int) -> Void) {
    let threads = currentThreads
    let rest = count % threads
    let divided = !isDivided ? 0 : 2 * rest > threads ? count : count - rest
    forEach(divided, body)
    (divided..<count).forEach(body)
  }

  /// What `transform` makes of each element, computed like `forEach(_:isDivided:_:)`: in parallel, so all that it uses must be safe
  /// to share. Throws the first error in the order of the elements; all elements have been transformed then.
  package static func map<Element, Output, Failure: Error>(
    _ elements: [Element], isDivided: Bool = true,
    _ transform: (Element) throws(Failure) -> Output
  ) throws(Failure) -> [Output] {
    var outputs = [Result<Output, Failure>?](repeating: nil, count: elements.count)
    outputs.withUnsafeMutableBufferPointer { outputs in
      nonisolated(unsafe) let (outputs, elements) = (outputs, elements)
      withoutActuallyEscaping(transform) { transform in
        nonisolated(unsafe) let transform = transform
        forEach(elements.count, isDivided: isDivided) { i in
          do throws(Failure) {
            outputs[i] = .success(try transform(elements[i]))
          } catch {
            outputs[i] = .failure(error)
          }
        }
      }
    }
    var results: [Output] = []
    for output in outputs { results.append(try output!.get()) }
    return results
  }

  /// The number of indices that `forEach` runs at a time if it divides this many.
  package static func threadsWorking(on count: Int) -> Int {
    let threads = currentThreads
    return count >= threads ? threads : 2 * count > threads ? count : 1
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
