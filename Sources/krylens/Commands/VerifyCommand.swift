import Analysis
import ArgumentParser
import Foundation

/// Recomputes a finished run from its model and checks it.
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Recompute an align run from its model in double precision and check its numbers.",
    usage: "krylens verify [<options>] <run>",
    discussion: """
      The checks: residual norms and orthonormality of the stored triplets; Jᵀ against J; J against finite differences \
      of the block's function; singular values against a dense decomposition of J, up to the width --dense-width; a \
      sample of couplings; and the norms of the hidden states. The output ends with PASS or FAIL, after each check's \
      worst ratio of a difference to its limit; the exit status is 0 or 1.
      """)

  @Argument(
    help: ArgumentHelp("A finished run folder of krylens align.", valueName: "run"),
    completion: .directory)
  var folder: FilePath

  @Option(help: ArgumentHelp("The model, if it has moved since the run.", valueName: "model"))
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
      "Number of bases, picked at random, in which each Jacobian's couplings are checked.",
      valueName: "n"))
  var sample = 4

  @Option(
    help: ArgumentHelp(
      "Form Jacobians up to this width and find all their singular values; 0 forms none.",
      valueName: "n"))
  var denseWidth = 1024

  @Option(help: ArgumentHelp("Number of threads (default: all cores).", valueName: "n"))
  var threads: Int?

  @Option(help: ArgumentHelp("Also write the report to this file as JSON.", valueName: "file"))
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

/// A run in which some checks failed.
private struct FailedVerification: Error, CustomStringConvertible {
  let report: VerificationReport

  var description: String {
    "\(report.run): \(counted(report.kinds.reduce(0) { $0 + $1.failed }, "number")) of \(report.checks) do not hold"
  }
}
