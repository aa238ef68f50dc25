import Analysis
import ArgumentParser
import Foundation
import Lanczos
import LinearAlgebra
import Processes

/// Measures each solver against the dense SVD of the same Jacobian, each in a process of its own; or each in the processes of one
/// team, which hold the Jacobian between them.
struct BenchCommand: SharedCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure each solver's time, passes, memory and error against the dense SVD.",
    usage: "krylens bench [<options>] <model>"
  )

  @Argument(
    help: "A Hugging Face folder, a .gguf file, or a hub name in the local cache.")
  var model: FilePath

  @Option(help: "The block, counted from 1.")
  var layer = 1

  @Option(help: "Number of singular triplets, K.")
  var top = 10

  @Option(
    help: "A solver to measure; may be repeated (default: all; dense is the reference).")
  var solver: [SolverKind] = []

  @Option(
    parsing: .unconditional,
    help:
      "The prompt as token ids, also for an encoder; image models are given noise."
  )
  var tokenIds = IntegerList(argument: "1,2,3,4,5,6,7,8,9,10")!

  @Option(help: "Residual norms must not exceed this times σ₁.")
  var tolerance = 1e-5

  @Option(
    help: ArgumentHelp(
      "Whether to prove that no triplet was missed; as in align.",
      valueName: "auto|proof|bound|off|p"))
  var certify = CertifyMode.auto

  @Option(help: "Seed of the start vectors.")
  var seed: UInt64 = 0

  @Option(help: "Block size of the block solver (default: its own choice).")
  var blockSize: Int?

  @Option(help: "Number of threads (default: all cores).")
  var threads: Int?

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup var processes: ProcessOptions

  @Flag(help: .hidden)
  var measure = false

  /// Computes one product with this many vectors for each line of standard input, and prints its seconds, so that another program
  /// can time its own products in turn.
  @Option(help: .hidden)
  var products: Int?

  func validate() throws {
    try solver.forEach { try $0.check() }
    try validated { try SolverKind.block.check(blockSize: blockSize) }
    try validated { try ModelRequest(model: model.path).check() }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads \(threads): must be from 1 to 1024")
    }
    if let products, !(1...1024).contains(products) {
      throw ValidationError("--products \(products): must be from 1 to 1024")
    }
  }

  func run(as processes: RunProcesses) throws {
    let serial: [SolverKind] = [.arpack, .block, .randomized, .dense]
    let shared: [SolverKind] = [.block, .parpack, .randomized]
    let kinds = solver.isEmpty ? processes.isAlone ? serial : shared : solver
    if measure { return try measureHere(kinds[0]) }
    if let products { return try measureProducts(products) }
    guard processes.isAlone else { return try show(measured(kinds, in: processes), processes) }
    try show(kinds.map { try measureApart($0) }, processes)
  }

  private func show(_ measurements: [SolverMeasurement], _ processes: RunProcesses) throws {
    guard processes.isLeader else { return }
    if json {
      return try StandardOutput.print(
        String(decoding: try recordJSON(measurements), as: UTF8.self))
    }
    try StandardOutput.print(table(measurements))
  }

  private func table(_ measurements: [SolverMeasurement]) -> String {
    let dense = measurements.first { $0.solver == SolverKind.dense.rawValue }
    let rows = measurements.map { m in
      let error = dense.map { d in
        zip(m.singularValues, d.singularValues).map { abs($0 - $1) / d.singularValues[0] }.max()
          ?? 0
      }
      return [
        m.answered == m.solver ? m.solver : "\(m.solver)→\(m.answered)",
        String(format: "%.3f", m.seconds),
        dense.map { String(format: "%.1f", $0.seconds / m.seconds) } ?? "", "\(m.passes)",
        "\(m.vectors)", String(format: "%.1f", Double(m.privateBytes) / 1e6),
        String(format: "%.1e", m.residual), error.map { String(format: "%.1e", $0) } ?? "",
      ]
    }
    let header = ["solver", "seconds", "× dense", "passes", "vectors", "MB", "residual", "error"]
    return
      (["width \(measurements[0].width), top \(top), block \(layer), tolerance \(tolerance)"]
      + aligned([header] + rows) + ["MB: private memory; residual and error: over σ₁"]
      + measurements.filter { !$0.converged }.map { "\($0.solver) did not converge" })
      .joined(separator: "\n")
  }

  private func measureProducts(_ vectors: Int) throws {
    try withExitStatus {
      let measurement = try ProductMeasurement(
        model: model.path, layer: layer, tokens: tokenIds.values, vectors: vectors, seed: seed,
        threads: threads ?? ProcessInfo.processInfo.activeProcessorCount)
      while readLine() != nil { try StandardOutput.print("\(measurement.seconds())") }
    }
  }

  /// Measures the solvers one after another in a team, which must be all processes.
  private func measured(
    _ kinds: [SolverKind], in processes: RunProcesses
  ) throws -> [SolverMeasurement] {
    guard processes.slices == processes.all.size else {
      throw OptionError(
        option: "--slices", value: "\(processes.slices)",
        reason:
          "must be the number of processes, \(processes.all.size), which measure one solve together"
      )
    }
    try processes.opening.take(nil)
    return try kinds.map { try measurement($0, in: processes.team) }
  }

  private func measurement(
    _ kind: SolverKind, in team: any Communicator
  ) throws -> SolverMeasurement {
    try SolverMeasurement(
      model: model.path, layer: layer, tokens: tokenIds.values, top: top, solver: kind,
      tolerance: tolerance, seed: seed,
      threads: threads ?? ProcessInfo.processInfo.activeProcessorCount, blockSize: blockSize,
      certify: certify, team: team)
  }

  private func measureHere(_ kind: SolverKind) throws {
    try withExitStatus {
      let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
      // The reference should be as fast as possible; nothing else in this process calls OpenBLAS.
      if kind == .dense { BLAS.takeThreads(threads) }
      let measurement = try measurement(kind, in: SingleProcess())
      try StandardOutput.write(try JSONEncoder().encode(measurement))
    }
  }

  /// Runs this command again for one solver in a process of its own, so that its peak memory is its own.
  private func measureApart(_ kind: SolverKind) throws -> SolverMeasurement {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = [
      "bench", model.path, "--measure", "--layer", "\(layer)", "--top", "\(top)", "--solver",
      kind.rawValue, "--token-ids", tokenIds.values.map { "\($0)" }.joined(separator: ","),
      "--tolerance", "\(tolerance)", "--seed", "\(seed)", "--certify", "\(certify)",
    ]
    if let blockSize { process.arguments! += ["--block-size", "\(blockSize)"] }
    if let threads { process.arguments! += ["--threads", "\(threads)"] }
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    // The child process has already printed what went wrong.
    guard process.terminationStatus == 0 else { throw ExitCode(process.terminationStatus) }
    return try JSONDecoder().decode(SolverMeasurement.self, from: data)
  }
}
