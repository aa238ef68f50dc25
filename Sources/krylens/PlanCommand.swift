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

  @Option(name: .shortAndLong, help: "As of align; nothing is written.")
  var output: String?

  @Flag(help: "As of align.")
  var quiet = false

  func run() throws {
    try withExitStatus {
      let settings = options.settings(
        for: model.path, step: model.trainingStep(isTrained: !options.randomInit))
      let plan = try AlignmentRun(settings, prompts: try options.inputs()).predicted()
      let line = { (name: String, bytes: Int) in
        String(format: "%10.1f MB  ", Double(bytes) / 1e6) + name
      }
      for part in plan.privateParts + plan.mappedParts { print(line(part.name, part.bytes)) }
      print(line("peak private memory", plan.peakPrivateBytes))
      print(line("peak memory", plan.peakMemoryBytes))
      print("\(plan.solvePasses) passes of the solver, \(plan.otherPasses) of the rest")
      print(
        String(
          format: "%.1f to %.1f seconds a group of prompts", plan.seconds.lowerBound,
          plan.seconds.upperBound))
      try plan.requireWithin(settings.maxMemory)
    }
  }
}
