import COpenBLAS

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// OpenBLAS as the process has it: its number of threads is the process's, and its sums depend on it.
///
/// So it is one thread, set before the first call and never again: no answer depends on how many threads the products
/// have, and its threads, which spin for a while after each call, do not fight with theirs for the cores.
public enum BLAS {
  private static let oneThread: Void = openblas_set_num_threads(1)

  /// Must come before any call of BLAS or LAPACK; costs nothing after the first.
  @inline(__always)
  package static func prepare() { oneThread }

  /// Gives OpenBLAS more threads, for a process that does nothing but measure one large decomposition: once, at its
  /// start. Under a limit on address space it keeps its one.
  public static func takeThreads(_ count: Int) {
    prepare()
    guard addressSpaceLimits.isEmpty else { return }
    openblas_set_num_threads(Int32(clamping: count))
  }

  /// What OpenBLAS takes the processor for: with another core type its sums are others in the last bits.
  public static var coreName: String { String(cString: openblas_get_corename()) }

  /// What OpenBLAS maps for every thread that computes with it at once, at its first call.
  private static let bufferBytes = 128 << 20

  /// How many threads there is address space for, up to the most an engine has, with half a buffer left for everything else;
  /// seen before the first call.
  private static let threadsWithRoom: Int = {
    var maps: [(base: UnsafeMutableRawPointer, bytes: Int)] = []
    while maps.count <= 256 {
      let bytes = maps.isEmpty ? bufferBytes / 2 : bufferBytes
      let base = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard let base, base != MAP_FAILED else { break }
      maps.append((base, bytes))
    }
    for map in maps { munmap(map.base, map.bytes) }
    let threads = max(0, maps.count - 1)
    // Where room is scarce the caller's own is taken before anything else takes it.
    if threads > 0, !addressSpaceLimits.isEmpty {
      let square = Matrix<Double>(rows: 128, columns: 128)
      _ = Matrix.product(square, .none, square)
    }
    return threads
  }()

  /// Throws unless there is address space for OpenBLAS to compute on so many threads at once: where there is not, it would
  /// try for ever.
  public static func checkAddressSpace(threads: Int) throws(AddressSpaceError) {
    let possible = threadsWithRoom
    guard threads <= possible else { throw AddressSpaceError(threads: threads, possible: possible) }
  }

  /// Too little address space, mostly by a limit.
  public struct AddressSpaceError: Error, CustomStringConvertible, Sendable {
    /// Threads there should be.
    public let threads: Int
    /// Threads there is address space for.
    public let possible: Int

    /// What is wrong and what to do.
    public var description: String {
      let megabytes = { $0 * BLAS.bufferBytes >> 20 }
      let limits = BLAS.addressSpaceLimits.map { "\($0.name) is \($0.bytes >> 10)" }
      let reason = limits.isEmpty ? "" : " (\(limits.joined(separator: ", ")))"
      // The half more is what was to be left, and may be missing too.
      let missing = megabytes(threads - possible) + megabytes(1) / 2
      let remedy = limits.isEmpty ? "end other programs" : "raise the limit by \(missing) MB"
      return "OpenBLAS needs \(megabytes(threads)) MB of address space for \(threads) "
        + "thread\(threads == 1 ? "" : "s"), and there is room for \(megabytes(possible)) MB"
        + "\(reason): \(remedy)"
        + (possible > 0 ? ", or take fewer threads, at most \(possible)" : "")
    }
  }

  /// The limits that are set on address space and data, by the shell's names for them.
  public static var addressSpaceLimits: [(name: String, bytes: Int)] {
    #if canImport(Glibc)
      let (space, data) = (Int32(RLIMIT_AS.rawValue), Int32(RLIMIT_DATA.rawValue))
    #else
      let (space, data) = (RLIMIT_AS, RLIMIT_DATA)
    #endif
    return [("ulimit -v", space), ("ulimit -d", data)].compactMap { name, resource in
      var limit = rlimit()
      guard getrlimit(resource, &limit) == 0, limit.rlim_cur < UInt64(Int.max) else { return nil }
      return (name, Int(limit.rlim_cur))
    }
  }
}

/// BLAS counts in 32 bits here; a larger side is a programming error, since vectors of such length are refused earlier.
/// Every call has a size, so none comes before OpenBLAS is prepared.
@inline(__always)
package func blasInt(_ n: Int) -> Int32 {
  BLAS.prepare()
  return Int32(n)
}
