import Analysis
import ArgumentParser
import Foundation

/// What `align` with the same options would cost.
struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Predicts memory by part, passes over the weights and seconds of align; no Jacobian.")

  @OptionGroup var model: ModelOptions
  @OptionGroup var options: AlignOptions

  @Option(
    name: .shortAndLong, help: "As of align; nothing is written.", completion: .directory)
  var output: FilePath?

  @Flag(help: "As of align.")
  var quiet = false

  func run() throws {
    try withExitStatus {
      let settings = options.settings(
        for: model.path, step: model.trainingStep(isTrained: !options.execution.randomInit))
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
        "\(plan.solvePasses) passes of the solver, \(plan.otherPasses) of the rest"
          + (plan.groups > 1 ? ", for a group of prompts" : ""),
      ]
      let seconds = { (range: ClosedRange<Double>) in
        String(format: "%.1f to %.1f seconds", range.lowerBound, range.upperBound)
      }
      lines.append(
        plan.groups == 1
          ? seconds(plan.seconds)
          : "\(seconds(plan.seconds)) for a group of prompts, \(seconds(plan.totalSeconds)) for all "
            + "\(plan.groups) groups")
      try StandardOutput.print(lines.joined(separator: "\n"))
      try plan.requireWithin(settings.maxMemory)
    }
  }
}
