#if MPI
  import CMPI
  import Foundation
  import Processes

  /// The processes that `mpirun` or `srun` started together.
  public enum MPIJob {
    /// Starts MPI for the life of the process, in which any thread may call it. Returns all processes of the job.
    public static func start() -> MPICommunicator {
      var provided: Int32 = 0
      MPI_Init_thread(nil, nil, Int32(MPI_THREAD_MULTIPLE), &provided)
      return MPICommunicator(ck_mpi_world())
    }

    /// Ends MPI. Every process of the job must call it.
    public static func end() { MPI_Finalize() }

    /// Ends all processes of the job at once, with this exit status.
    public static func abort(status: Int32) -> Never {
      MPI_Abort(ck_mpi_world(), status)
      exit(status)
    }
  }

  extension MPICommunicator {
    /// This process's team, of `size` consecutive processes. Every process must call it. Precondition: the teams come out even.
    public func team(of size: Int) -> MPICommunicator {
      precondition(self.size % size == 0, "\(self.size) processes do not form teams of \(size)")
      return split(rank / size)
    }

    /// The processes that gave the same number. Every process must call it.
    func split(_ group: Int) -> MPICommunicator {
      var part = ck_mpi_null()
      MPI_Comm_split(handle, Int32(group), Int32(rank), &part)
      return MPICommunicator(part!)
    }
  }
#endif
