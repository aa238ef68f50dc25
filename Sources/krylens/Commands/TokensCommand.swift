import Analysis
import ArgumentParser

/// Reads the singular vectors of a run out as tokens.
struct TokensCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokens",
    abstract: "Read the singular vectors of an align or triplets run out as tokens.",
    usage: "krylens tokens [<options>] <run>",
    discussion: """
      Each vector is passed through the model's final norm and unembedding as if it were the last block's output; the \
      tokens it favours most and least are listed. The model is opened where the run found it.
      """)

  @Argument(help: ArgumentHelp("A finished run folder.", valueName: "run"), completion: .directory)
  var folder: FilePath

  @Option(help: ArgumentHelp("Number of tokens per list.", valueName: "n"))
  var readOut = 5

  @Option(
    help: ArgumentHelp("The model, if it has moved since the run.", valueName: "model"))
  var model: FilePath?

  @Option(
    help: ArgumentHelp(
      "For runs of align: blocks, counted from 1: 1-30 or 1,5,9 (default: all).", valueName: "list")
  )
  var layers: LayerList?

  @Option(help: ArgumentHelp("Number of singular triplets per map.", valueName: "k"))
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
