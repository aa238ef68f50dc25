import Weights
import Checkpoint
import Lanczos
import LinearAlgebra
import Model
public import Processes

/// The cost of one solver on one residual Jacobian, measured in a process of its own or in the processes of a team.
public struct SolverMeasurement: Codable, Sendable {
  /// The requested solver.
  public var solver: String
  /// The solver that was used.
  public var answered: String
  /// The width of the Jacobian.
  public var width: Int
  /// The number of triplets.
  public var top: Int
  /// Seconds of the solve, without the linearization.
  public var seconds: Double
  /// Seconds of the linearization.
  public var linearizeSeconds: Double
  /// Passes over the weights.
  public var passes: Int
  /// The number of vectors applied.
  public var vectors: Int
  /// The peak of anonymous bytes minus those before the solve.
  public var privateBytes: Int
  /// The largest measured residual norm over σ₁.
  public var residual: Double
  /// Whether all triplets are within tolerance.
  public var converged: Bool
  /// The singular values found.
  public var singularValues: [Double]
  /// The processes that hold the Jacobian between them.
  public var processes: Int
  /// The bytes this process has handed to the others during the solve.
  public var sentBytes: Int

  /// Opens the model, evaluates these tokens up to the input of block `layer` (from 1), and solves there for the last token;
  /// `blockSize` is the block solver's, nil for its own choice. An encoder reads the same tokens; an image model is given
  /// noise. The members of a team hold the block and the vectors between them, and must all make this call.
  ///
  /// Throws what opening and solving throw, and `RunError.badSetting` for a block or a count the model does not have.
  public init(
    model path: String, layer: Int, tokens: [Int], top: Int, solver: SolverKind, tolerance: Double,
    seed: UInt64, threads: Int, blockSize: Int? = nil, certify: CertifyMode = .auto,
    team: any Communicator = SingleProcess()
  ) throws {
    let engine = Engine(threads: threads)
    self = try engine.use {
      let model = try loadTransformer(try CheckpointDirectory(opening: path)).divided(over: team)
      try BLAS.checkAddressSpace(threads: engine.threads)
      return try Self.measure(
        model, layer, tokens, top, solver, tolerance, seed, blockSize, certify, team)
    }
  }

  private init(
    solver: SolverKind, width: Int, top: Int, _ t: SingularTriplets, linearize: Double,
    solve: Double, privateBytes: Int, processes: Int, sentBytes: Int
  ) {
    self.solver = solver.rawValue
    answered = t.report.solver
    self.width = width
    self.top = top
    seconds = solve
    linearizeSeconds = linearize
    passes = t.report.applications.passes
    vectors = t.report.applications.jvp + t.report.applications.vjp
    self.privateBytes = privateBytes
    residual = (t.residualNorms.max() ?? 0) / max(t.singularValues[0], .leastNonzeroMagnitude)
    converged = t.report.isConverged
    singularValues = t.singularValues
    self.processes = processes
    self.sentBytes = sentBytes
  }

  private static func measure(
    _ model: some Transformer, _ layer: Int, _ tokens: [Int], _ top: Int, _ solver: SolverKind,
    _ tolerance: Double, _ seed: UInt64, _ blockSize: Int?, _ certify: CertifyMode,
    _ team: any Communicator
  ) throws -> SolverMeasurement {
    let d = model.description
    guard (1...d.width).contains(top) else {
      throw RunError.badSetting(
        .top, value: "\(top)", reason: "must be from 1 to the model's width, \(d.width)")
    }
    let jacobian = try MeasuredJacobian(model, layer: layer, tokens: tokens, seed: seed)
    let isShared = team.size > 1
    let map: any LinearOperator =
      isShared ? RowDistributedOperator(jacobian.map, over: team) : jacobian.map
    team.barrier()
    let sent = team.traffic.bytes
    let start = monotonicSeconds()
    // The meter's peak starts at the memory in use before the solve.
    let before = MemoryMeter.privateBytes
    let meter = MemoryMeter()
    let method = solver.chosen(for: top, width: d.width, sharesVectors: isShared)
      .solver(tolerance: tolerance, seed: seed, blockSize: blockSize, certify: certify)
    let triplets = try method.partialSVD(of: map, count: top)
    let end = monotonicSeconds()
    meter.sample()
    return SolverMeasurement(
      solver: solver, width: d.width, top: top, triplets, linearize: jacobian.seconds,
      solve: end - start, privateBytes: meter.peakPrivateBytes - before, processes: team.size,
      sentBytes: team.traffic.bytes - sent)
  }
}
