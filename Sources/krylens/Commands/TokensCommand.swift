import Analysis
import ArgumentParser

/// The singular vectors of a run, read out as tokens.
struct TokensCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokens",
    abstract: "Singular vectors of a run of align or triplets, read out as tokens.",
    discussion: """
      Every vector is put through the model's final norm and unembedding as if it were the state at the end; listed are the \
      tokens it favours most, and least. The model is read from where the run had it.
      """)

  @Argument(help: ArgumentHelp("A finished run folder.", valueName: "run"), completion: .directory)
  var folder: FilePath

  @Option(help: ArgumentHelp("Tokens of each list.", valueName: "n"))
  var readOut = 5

  @Option(
    help: ArgumentHelp("The model, if it lies elsewhere now.", valueName: "model"))
  var model: FilePath?

  @Option(
    help: ArgumentHelp(
      "Of align's runs: blocks, counted from 1: 1-30 or 1,5,9 (default: all).", valueName: "list"))
  var layers: LayerList?

  @Option(help: ArgumentHelp("Singular triplets of each map.", valueName: "k"))
  var top = 3

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    for (name, value) in [("--read-out", readOut), ("--top", top)] where value < 1 {
      throw ValidationError("\(name) \(value): must be 1 or more")
    }
  }

  func run() throws {
    try withExitStatus {
      let reading = try RunReading(
        folder.path, model: model?.path, count: readOut, top: top, layers: layers?.values)
      if json {
        return try StandardOutput.print(
          String(decoding: try recordJSON(reading.vectors), as: UTF8.self))
      }
      var lines = [MapTable.readOutTitle]
      for vectors in reading.vectors {
        lines += ["", vectors.place] + MapTable.lines(vectors.readOut, vectors.tokens)
      }
      try StandardOutput.print(lines.joined(separator: "\n"))
    }
  }
}
