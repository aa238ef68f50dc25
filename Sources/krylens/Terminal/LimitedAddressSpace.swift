import Foundation
import LinearAlgebra

/// As it is loaded, OpenBLAS starts a thread per core, each of which maps 128 MB and tries for ever where a limit leaves less;
/// the process could not even end. Its number of threads is read from the environment then, so under a limit
/// (`ulimit -v`, `ulimit -d`) the command starts itself anew with one, which is all it uses. Likewise for malloc, which
/// sets aside 64 MB for each thread.
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
