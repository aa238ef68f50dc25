import Foundation
import LinearAlgebra

/// Restarts the command with one OpenBLAS thread if a limit (`ulimit -v`, `ulimit -d`) restricts its address space.
///
/// When it is loaded, OpenBLAS starts one thread per core, each of which maps 128 MB and retries for ever if a limit leaves
/// less; the process could not even exit. The number of threads is read from the environment at that moment, so the command
/// has to be executed again with one, which is all it uses. Likewise malloc reserves 64 MB for each thread.
func startAnewIfAddressSpaceIsLimited() {
  let variable = "OPENBLAS_NUM_THREADS"
  guard !BLAS.addressSpaceLimits.isEmpty,
    ProcessInfo.processInfo.environment[variable] != "1",
    let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
  else { return }
  setenv(variable, "1", 1)
  setenv("MALLOC_ARENA_MAX", "1", 0)
  execv(path, CommandLine.unsafeArgv)
}
