import Processes

/// The processes that a run is planned for, and the network between them. Each has a machine, or its part of one, for itself: the
/// cores of its threads and its share of the read bandwidth.
public struct ProcessLayout: Sendable, Equatable {
  /// P, the number of processes.
  public var processes: Int
  /// S, the number of processes that hold one Jacobian together, each a slice of it.
  public var slices: Int
  /// The bytes that a process can send in a second.
  public var networkRate: Double

  /// Whether this process is one of them, so that what it already holds includes the MPI library.
  var isRunning = false

  /// The rate of a network of ten gigabits per second.
  public static let usualRate = 1.25e9
  /// The seconds that a call takes whatever its size: a few messages, one after another.
  static let secondsPerCall = 50e-6

  /// One process by default. Precondition: the slices divide the processes, and all numbers are positive.
  public init(processes: Int = 1, slices: Int = 1, networkRate: Double = usualRate) {
    precondition(
      slices >= 1 && processes >= slices && processes % slices == 0 && networkRate > 0,
      "the slices must divide the processes")
    (self.processes, self.slices, self.networkRate) = (processes, slices, networkRate)
  }

  /// T = P / S, the number of teams, which share the work.
  public var teams: Int { processes / slices }

  /// Bytes for whole vectors while those of a solver are distributed: the members' parts, the whole input and the whole product of
  /// the widest application, whose vectors take `bytes`.
  func gatheredBytes(_ bytes: Int) -> Int { slices == 1 ? 0 : 3 * bytes }

  /// The private memory of the MPI library in a process, measured with Open MPI 4.1 as 2.0 and, on another machine, 2.6 MB; its buffers
  /// are shared memory.
  static let libraryBytes = 5 << 19

  /// The seconds that a member waits for what it hands over: in a ring it sends 2 (S − 1) / S times the operand of a sum.
  func seconds(of traffic: Traffic) -> Double {
    guard slices > 1 else { return 0 }
    let moved = 2 * Double(slices - 1) / Double(slices) * Double(traffic.bytes)
    return moved / networkRate + Double(traffic.calls) * Self.secondsPerCall
  }
}
