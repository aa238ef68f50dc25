import CKernels
import COpenBLAS

/// How many threads compute: those of the products with stored weights, and, where a whole core would lie idle without
/// them, those of OpenBLAS.
///
/// The two pools would fight for the cores: OpenBLAS's threads spin for a while after each call. So OpenBLAS has one
/// thread, but for the few large decompositions that ask for all.
public enum Threads {
  /// Sets the number of threads, the caller's included. Not while anything computes.
  public static func use(_ count: Int) {
    precondition(count >= 1, "at least one thread computes")
    ck_set_threads(Int32(count))
    openblas_set_num_threads(1)
  }

  /// Runs `body`, whose time goes into large BLAS or LAPACK calls, with all threads.
  package static func inBLAS<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let before = openblas_get_num_threads()
    openblas_set_num_threads(ck_threads())
    defer { openblas_set_num_threads(before) }
    return try body()
  }

  /// Runs `body` for every index below `count` on all threads, and waits. Allocates nothing.
  package static func forEach(_ count: Int, _ body: (Int) -> Void) {
    withoutActuallyEscaping(body) { body in
      var body = body
      withUnsafeMutablePointer(to: &body) { context in
        ck_parallel_for(
          Int64(count),
          { context, index in
            context!.assumingMemoryBound(to: ((Int) -> Void).self).pointee(Int(index))
          }, context)
      }
    }
  }
}
