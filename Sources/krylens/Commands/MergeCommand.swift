import Analysis
import ArgumentParser

/// Joins shards into one run.
struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract:
      "Join runs of one model over different prompts, or shards of lens fit."
  )

  @Argument(
    help:
      "Run folders: all shards of one run, in any order; or complete runs, whose prompts are joined in the order given.",
    completion: .directory)
  var runs: [FilePath]

  @Option(
    name: .shortAndLong, help: "The folder of the joined run, new or empty.", completion: .directory
  )
  var output: FilePath

  func run() throws {
    try withExitStatus {
      if runs.allSatisfy({ RunKind($0.path) == .lens }) {
        return try LensMergeCommand.join(runs, into: output)
      }
      let record = try RunMerge(runs.map(\.path)).write(to: output.path)
      let failed = record.failures.count
      try StandardOutput.print(
        "\(runs.count) runs, \(record.prompts.count) prompts"
          + (failed > 0 ? ", of which \(failed) failed" : "") + "; written to \(output.path)")
    }
  }
}
