import Analysis
import ArgumentParser

/// Joins shards into one lens.
struct LensMergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Join the parts of one list of prompts, fitted with --shard, into one lens.")

  @Argument(help: "Folders of all parts, in any order.", completion: .directory)
  var shards: [FilePath]

  @Option(
    name: .shortAndLong, help: "The folder of the joined lens, new or empty.",
    completion: .directory)
  var output: FilePath

  func run() throws {
    try withExitStatus { try Self.join(shards, into: output) }
  }

  /// Joins shards and prints a summary.
  static func join(_ shards: [FilePath], into output: FilePath) throws {
    let record = try LensMerge(shards.map(\.path)).write(to: output.path)
    try StandardOutput.print(
      "\(shards.count) parts, \(record.prompts.count) prompts; written to \(output.path)")
  }
}
