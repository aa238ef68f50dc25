#if MPI
  import CMPI
  public import Processes

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
  }
#endif
