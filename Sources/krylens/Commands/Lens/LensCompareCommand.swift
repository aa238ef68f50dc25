import Analysis
import ArgumentParser
import Foundation

/// Compares two lenses.
struct LensCompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract:
      "Compare two lenses layer by layer, and with the noise from the choice of prompts.")

  @Argument(help: "The folder of a fit, its lens.safetensors, or a .pt file of another tool.")
  var first: FilePath

  @Argument(help: "Another lens of the same width.")
  var second: FilePath

  @Option(
    help: ArgumentHelp(
      "Number of triplets whose subspaces are compared (default: 10, or as many as both have).",
      valueName: "k"))
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
