import Analysis
import ArgumentParser

/// Shards into one run.
struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract:
      "Joins runs of one model whose prompts were run apart, by --shard or as several lists.")

  @Argument(
    help: "Run folders: all shards, in any order; or whole runs, whose prompts follow one another.")
  var runs: [String]

  @Option(name: .shortAndLong, help: "The joined run's folder, new or empty.")
  var output: String

  func run() throws {
    try withExitStatus {
      let record = try RunMerge(runs).write(to: output)
      let failed = record.prompts.count { $0.failed != nil }
      print(
        "\(runs.count) runs, \(record.prompts.count) prompts"
          + (failed > 0 ? ", of which \(failed) failed" : "") + "; written to \(output)")
    }
  }
}
