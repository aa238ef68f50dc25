import COpenBLAS

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// OpenBLAS as configured for the process: its number of threads is a process-wide setting, and the rounding of its
/// sums depends on it.
///
/// So it computes on one thread, which is set before the first call and not changed afterwards: no answer depends on
/// how many threads the products use, and OpenBLAS's own threads, which spin for a while after each call, do not
/// compete with them for the cores.
public enum BLAS {
  private static let oneThread: Void = openblas_set_num_threads(1)

  /// Configures OpenBLAS; must precede any call of BLAS or LAPACK and costs nothing after the first.
  @inline(__always)
  package static func prepare() { oneThread }

  /// Gives OpenBLAS more threads, for a process that only measures one large decomposition: call it once, at the
  /// start. Under a limit on address space OpenBLAS keeps its single thread.
  public static func takeThreads(_ count: Int) {
    prepare()
    guard addressSpaceLimits.isEmpty else { return }
    openblas_set_num_threads(Int32(clamping: count))
  }

  /// The processor type OpenBLAS has detected: for another type its sums differ in the last bits.
  public static var coreName: String { String(cString: openblas_get_corename()) }

  /// The memory that OpenBLAS maps, at the first call, for every thread that computes with it at the same time.
  private static let bufferBytes = 128 << 20

  /// The number of threads that the address space has room for, at most as many as an engine may have, with half a
  /// buffer left for everything else; determined before the first call.
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
    // Where room is scarce, the calling thread's buffer is reserved before anything else takes the space.
    if threads > 0, !addressSpaceLimits.isEmpty {
      let square = Matrix<Double>(rows: 128, columns: 128)
      _ = Matrix.product(square, .none, square)
    }
    return threads
  }()

  /// Throws `AddressSpaceError` unless the address space has room for OpenBLAS to compute on this many threads at
  /// once: without it, OpenBLAS retries forever.
  public static func checkAddressSpace(threads: Int) throws(AddressSpaceError) {
    let possible = threadsWithRoom
    guard threads <= possible else { throw AddressSpaceError(threads: threads, possible: possible) }
  }

  /// Too little address space for OpenBLAS, usually because of a limit.
  public struct AddressSpaceError: Error, CustomStringConvertible, Sendable {
    /// The number of threads requested.
    public let threads: Int
    /// The number of threads that the address space has room for.
    public let possible: Int

    /// What is wrong and what to do.
    public var description: String {
      let megabytes = { $0 * BLAS.bufferBytes >> 20 }
      let limits = BLAS.addressSpaceLimits.map { "\($0.name) is \($0.bytes >> 10)" }
      let reason = limits.isEmpty ? "" : " (\(limits.joined(separator: ", ")))"
      // The half buffer kept free for everything else may be missing as well.
      let missing = megabytes(threads - possible) + megabytes(1) / 2
      let remedy = limits.isEmpty ? "end other programs" : "raise the limit by \(missing) MB"
      return "OpenBLAS needs \(megabytes(threads)) MB of address space for \(threads) "
        + "thread\(threads == 1 ? "" : "s"), and there is room for \(megabytes(possible)) MB"
        + "\(reason): \(remedy)"
        + (possible > 0 ? ", or use at most \(possible) threads" : "")
    }
  }

  /// The limits on address space and data that are set, with the shell commands that show them.
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

/// Converts a size to BLAS's 32-bit integers; a larger size is a programming error, since vectors of such length are
/// refused earlier. Every BLAS call passes a size, so this also prepares OpenBLAS before the first one.
@inline(__always)
package func blasInt(_ n: Int) -> Int32 {
  BLAS.prepare()
  return Int32(n)
}
