import Analysis
import ArgumentParser
import Foundation

/// A finished run, recomputed from its model and checked.
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Recomputes a run of align from its model in double precision, and says what holds.",
    discussion: """
      Checked are the residual norms of the stored triplets and that they are orthonormal; Jᵀ against J; J against \
      differences of the block's own function; the singular values against a dense decomposition of J, up to the width \
      --dense-width; a sample of couplings; and the norms of the hidden states. Printed is PASS, with the worst ratio of \
      a difference to what it is held to, or FAIL and what failed; the exit status is 0 or 1.
      """)

  @Argument(
    help: ArgumentHelp("A finished run folder of krylens align.", valueName: "run"),
    completion: .directory)
  var folder: FilePath

  @Option(help: ArgumentHelp("The model, if it lies elsewhere now.", valueName: "model"))
  var model: FilePath?

  @Option(
    help: ArgumentHelp(
      "Prompts to check, counted from 1: 1-3 or 1,5 (default: all).", valueName: "list"))
  var prompts: LayerList?

  @Option(
    help: ArgumentHelp(
      "Blocks to check, counted from 1: 1-30 or 1,5,9 (default: all).", valueName: "list"))
  var layers: LayerList?

  @Option(
    help: ArgumentHelp(
      "Bases in which each Jacobian's couplings are checked, picked at random.", valueName: "n"))
  var sample = 4

  @Option(
    help: ArgumentHelp(
      "Build Jacobians up to this width and find all their singular values; 0 builds none.",
      valueName: "n"))
  var denseWidth = 1024

  @Option(help: ArgumentHelp("Threads (default: all cores).", valueName: "n"))
  var threads: Int?

  @Option(help: ArgumentHelp("Write the report there as JSON too.", valueName: "file"))
  var json: FilePath?

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads \(threads): must be from 1 to 1024")
    }
    for (name, value) in [("--sample", sample), ("--dense-width", denseWidth)] where value < 0 {
      throw ValidationError("\(name) \(value): must be 0 or more")
    }
  }

  func run() throws {
    try withExitStatus {
      var extent = RunVerification.Extent()
      (extent.prompts, extent.layers) = (prompts?.values, layers?.values)
      (extent.sample, extent.denseWidth) = (sample, denseWidth)
      let progress = ProgressBar(isShown: !quiet)
      defer { progress.finish() }
      let verification = try RunVerification(
        folder.path, model: model?.path,
        threads: threads ?? ProcessInfo.processInfo.activeProcessorCount, extent)
      let report = try verification.run(progress: progress)
      progress.finish()
      if let json {
        try write(String(decoding: try recordJSON(report), as: UTF8.self), to: json.path)
      }
      if !quiet { try StandardOutput.print(VerificationTable(report).text) }
      guard report.passed else { throw FailedVerification(report: report) }
    }
  }
}

/// A run that does not hold.
private struct FailedVerification: Error, CustomStringConvertible {
  let report: VerificationReport

  var description: String {
    "\(report.run): \(counted(report.kinds.reduce(0) { $0 + $1.failed }, "number")) of \(report.checks) do not hold"
  }
}
