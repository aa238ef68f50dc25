import Analysis
import ArgumentParser

/// Shards into one run.
struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract:
      "Joins runs of one model whose prompts were run apart, by --shard or as several lists; of krylens lens fit, shards."
  )

  @Argument(
    help: "Run folders: all shards, in any order; or whole runs, whose prompts follow one another.",
    completion: .directory)
  var runs: [FilePath]

  @Option(
    name: .shortAndLong, help: "The joined run's folder, new or empty.", completion: .directory)
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
