import Analysis
import ArgumentParser

/// Shards into one lens.
struct LensMergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Joins the parts of one list of prompts, fitted apart by --shard, into one lens.")

  @Argument(help: "Folders of all parts, in any order.", completion: .directory)
  var shards: [FilePath]

  @Option(
    name: .shortAndLong, help: "The joined lens's folder, new or empty.", completion: .directory)
  var output: FilePath

  func run() throws {
    try withExitStatus { try Self.join(shards, into: output) }
  }

  /// Joins shards, and says so.
  static func join(_ shards: [FilePath], into output: FilePath) throws {
    let record = try LensMerge(shards.map(\.path)).write(to: output.path)
    try StandardOutput.print(
      "\(shards.count) parts, \(record.prompts.count) prompts; written to \(output.path)")
  }
}
