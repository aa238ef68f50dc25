import Analysis
import ArgumentParser
import Foundation

/// Reads a prompt's states through a lens.
struct LensReadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "read",
    abstract: "Show the likeliest tokens a lens reads at each layer and position of a prompt.")

  @OptionGroup var model: ModelOptions
  @OptionGroup var execution: ExecutionOptions
  @OptionGroup var prompts: PromptOptions

  @Option(
    help: ArgumentHelp(
      "The folder of a fit, its lens.safetensors, or a .pt file of another tool.", valueName: "lens"
    )
  )
  var lens: FilePath

  @Option(help: ArgumentHelp("Number of tokens per layer and position.", valueName: "n"))
  var top = 5

  @Option(
    help: ArgumentHelp(
      "Boundaries, counted from 0 (default: all of the lens, and the last, where the model itself is read).",
      valueName: "list"))
  var layers: LayerList?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Positions: last, all, or indices 0,3,-1.", valueName: "list"))
  var tokens = TokenList.all

  @Option(help: ArgumentHelp("Seed of random weights.", valueName: "n"))
  var seed: UInt64 = 0

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "A new or empty folder for a record, which krylens report draws.", valueName: "dir"),
    completion: .directory)
  var output: FilePath?

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    if !(1...1000).contains(top) {
      throw ValidationError("--top \(top): must be from 1 to 1000")
    }
  }

  func run() throws {
    try withExitStatus {
      let inputs = try prompts.inputs(quiet: json)
      guard inputs.count == 1 else {
        throw OptionError(
          option: "--prompt", value: "", reason: "\(inputs.count) prompts are given; give one")
      }
      if let output { try LensReadingRecord.checkIsFree(output.path) }
      let opened = try StoredLens(lens.path)
      let loaded = try LoadedModel(
        try execution.settings(for: model, prompts, seed: seed), prompts: inputs)
      loaded.notes.forEach(note)
      let reading = try LensReading(
        opened, of: loaded, layers: layers?.values, tokens: tokens, top: top)
      if let output {
        try LensReadingRecord(reading, of: loaded).write(to: output.path)
        if !json { note("written to \(output.path); krylens report draws it") }
      }
      try StandardOutput.print(
        json
          ? String(decoding: try recordJSON(reading), as: UTF8.self)
          : LensTable.read(reading).joined(separator: "\n"))
    }
  }
}
