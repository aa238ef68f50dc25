import Analysis
import ArgumentParser
import Foundation

/// Predicts what `align` with the same options would cost.
struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Predict the memory, passes over the weights and seconds of an align run.")

  @OptionGroup var model: ModelOptions
  @OptionGroup var options: AlignOptions

  @Option(
    name: .shortAndLong, help: "Accepted as by align; nothing is written.", completion: .directory)
  var output: FilePath?

  @Flag(help: "Print no notes on standard error.")
  var quiet = false

  func run() throws {
    try withExitStatus {
      let settings = try options.settings(for: model.path, step: model.step)
      let run = try AlignmentRun(settings, prompts: try options.prompts.inputs(quiet: quiet))
      if !quiet { run.notes.forEach(note) }
      let plan = try run.predicted()
      let line = { (name: String, bytes: Int) in
        String(format: "%10.1f MB  ", Double(bytes) / 1e6) + name
      }
      var lines = (plan.privateParts + plan.mappedParts).map { line($0.name, $0.bytes) }
      lines += [
        line("peak private memory", plan.peakPrivateBytes),
        line("peak memory", plan.peakMemoryBytes),
        "\(plan.solvePasses) solver passes, \(plan.otherPasses) other passes"
          + (plan.groups > 1 ? ", per group of prompts" : ""),
      ]
      let seconds = { (range: ClosedRange<Double>) in
        String(format: "%.1f to %.1f seconds", range.lowerBound, range.upperBound)
      }
      lines.append(
        plan.groups == 1
          ? seconds(plan.seconds)
          : "\(seconds(plan.seconds)) per group of prompts, \(seconds(plan.totalSeconds)) for all "
            + "\(plan.groups) groups")
      try StandardOutput.print(lines.joined(separator: "\n"))
      try plan.requireWithin(settings.maxMemory)
    }
  }
}
