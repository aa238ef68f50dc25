import Analysis
import ArgumentParser
import Foundation

/// Two lenses held against each other.
struct LensCompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract:
      "Two lenses layer by layer, and against what the choice of prompts makes of such a mean.")

  @Argument(help: "The folder of a fit, its lens.safetensors, or a .pt file.")
  var first: FilePath

  @Argument(help: "Another one of the same width.")
  var second: FilePath

  @Option(
    help: ArgumentHelp(
      "Triplets whose subspaces are compared (default: 10, or what both have).", valueName: "k"))
  var rank: Int?

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    try withExitStatus {
      let comparison = try LensComparison(
        StoredLens(first.path), StoredLens(second.path), rank: rank)
      try StandardOutput.print(
        json
          ? String(decoding: try recordJSON(comparison), as: UTF8.self)
          : LensTable.compared(comparison).joined(separator: "\n"))
    }
  }
}
