#if MPI
  import CMPI
  public import Processes
  import Synchronization

  /// A group of MPI processes.
  ///
  /// A failed call ends all processes of the job, with MPI's own message. Sums are the same to the bit in every process: Open MPI's
  /// algorithms add each element in one order and then copy it, or exchange partial sums, whose order does not matter.
  public final class MPICommunicator: Communicator, @unchecked Sendable {
    /// MPI's communicator.
    let handle: MPI_Comm
    /// The number of this process in the group, from 0.
    public let rank: Int
    /// The number of processes in the group.
    public let size: Int
    private let counted = Mutex(Traffic())

    init(_ handle: MPI_Comm) {
      self.handle = handle
      var (rank, size): (Int32, Int32) = (0, 1)
      MPI_Comm_rank(handle, &rank)
      MPI_Comm_size(handle, &size)
      (self.rank, self.size) = (Int(rank), Int(size))
    }

    /// The group as Fortran knows it, for PARPACK.
    package var fortranHandle: Int32 { ck_mpi_fortran(handle) }

    /// What has been handed to collective calls so far.
    public var traffic: Traffic { counted.withLock { $0 } }

    /// values ← the sum of all processes' values.
    public func sum(_ values: UnsafeMutableBufferPointer<Float>) { sum(values, ck_mpi_float()) }

    /// values ← the sum of all processes' values.
    public func sum(_ values: UnsafeMutableBufferPointer<Double>) { sum(values, ck_mpi_double()) }

    private func sum<Scalar>(_ values: UnsafeMutableBufferPointer<Scalar>, _ type: MPI_Datatype) {
      counted.withLock { $0.add(bytes: values.count * MemoryLayout<Scalar>.stride) }
      MPI_Allreduce(
        ck_mpi_in_place(), values.baseAddress, Int32(values.count), type, ck_mpi_sum(), handle)
    }

    /// whole ← the processes' parts, one after another.
    public func gather(
      _ part: UnsafeBufferPointer<Double>, into whole: UnsafeMutableBufferPointer<Double>,
      counts: [Int]
    ) {
      counted.withLock { $0.add(bytes: part.count * MemoryLayout<Double>.stride) }
      var offsets: [Int32] = []
      var next: Int32 = 0
      for count in counts {
        offsets.append(next)
        next += Int32(count)
      }
      MPI_Allgatherv(
        part.baseAddress, Int32(part.count), ck_mpi_double(), whole.baseAddress,
        counts.map { Int32($0) }, offsets, ck_mpi_double(), handle)
    }

    /// bytes ← those of process `root`.
    public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {
      counted.withLock { $0.add(bytes: bytes.count) }
      MPI_Bcast(bytes.baseAddress, Int32(bytes.count), ck_mpi_byte(), Int32(root), handle)
    }

    /// Returns once every process has called it.
    public func barrier() { MPI_Barrier(handle) }
  }
#endif
