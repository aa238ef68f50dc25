#if MPI
  import CMPI
  import Foundation

  /// Messages between the processes of an MPI job, apart from all others: values as JSON.
  ///
  /// Nothing waits inside MPI, where waiting occupies a core.
  struct MPIMessages: @unchecked Sendable {
    /// The number of this process.
    let rank: Int
    /// The number of processes.
    let size: Int
    private let handle: MPI_Comm

    /// Every process of the group makes this call.
    init(among processes: MPICommunicator) {
      var copy = ck_mpi_null()
      MPI_Comm_dup(processes.handle, &copy)
      (handle, rank, size) = (copy!, processes.rank, processes.size)
    }

    /// Sends a value; returns when it has left.
    func send(_ value: some Encodable, to rank: Int, _ tag: Int32) {
      // Values of these types always have an encoding.
      let bytes = (try? JSONEncoder().encode(value)) ?? Data()
      bytes.withUnsafeBytes { bytes in
        var request: MPI_Request?
        MPI_Isend(
          bytes.baseAddress, Int32(bytes.count), ck_mpi_byte(), Int32(rank), tag, handle, &request)
        var isSent: Int32 = 0
        while true {
          ck_mpi_test(&request, &isSent)
          if isSent != 0 { return }
          Thread.sleep(forTimeInterval: 0.0002)
        }
      }
    }

    /// Waits for a value.
    func receive<Value: Decodable>(_ type: Value.Type, from rank: Int, _ tag: Int32) -> Value {
      while true {
        if let (_, value) = next(type, tag, from: rank) { return value }
        Thread.sleep(forTimeInterval: 0.0002)
      }
    }

    /// A value that has arrived, and its sender; nil if there is none now.
    func next<Value: Decodable>(
      _ type: Value.Type, _ tag: Int32, from rank: Int? = nil
    ) -> (from: Int, Value)? {
      var (found, from, count): (Int32, Int32, Int32) = (0, 0, 0)
      ck_mpi_iprobe(
        rank.map { Int32($0) } ?? ck_mpi_any_source(), tag, handle, &found, &from, &count)
      guard found != 0 else { return nil }
      var bytes = Data(count: Int(count))
      bytes.withUnsafeMutableBytes { _ = ck_mpi_receive($0.baseAddress, count, from, tag, handle) }
      return (try? JSONDecoder().decode(type, from: bytes)).map { (Int(from), $0) }
    }

    /// Whether a message without content has arrived; it is taken.
    func take(from rank: Int?, _ tag: Int32) -> Bool { next(Int.self, tag, from: rank) != nil }
  }
#endif
