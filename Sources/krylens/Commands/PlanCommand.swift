import Analysis
import ArgumentParser
import Foundation

/// Predicts what `align` with the same options would cost, on one process or on several.
struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Predict the memory, passes over the weights and seconds of an align run.",
    discussion: """
      For several processes the numbers are those of one process, the one with the largest slice. Each is taken to have --threads \
      cores and as much read bandwidth for itself as this command finds here. A checkpoint of krylens synthesize --empty is enough.
      """)

  @OptionGroup var model: ModelOptions
  @OptionGroup var options: AlignOptions

  @Option(
    help: ArgumentHelp(
      "The number of processes that mpirun or srun would start.", valueName: "n"))
  var processes = 1

  @Option(
    help: ArgumentHelp(
      "The number of processes that hold each block together; it divides --processes.",
      valueName: "n"))
  var slices = 1

  @Option(
    help: ArgumentHelp(
      "The bytes per second that each process can send, for the time of communication (default: 1.25GB, ten gigabits).",
      valueName: "bytes"))
  var network: ByteCount?

  @Option(
    name: .shortAndLong, help: "Accepted as by align; nothing is written.", completion: .directory)
  var output: FilePath?

  @Flag(help: "Print JSON.")
  var json = false

  @Flag(help: "Print no notes on standard error.")
  var quiet = false

  func validate() throws {
    guard (1...1 << 20).contains(processes) else {
      throw ValidationError("--processes \(processes): must be from 1 to \(1 << 20)")
    }
    guard slices >= 1, processes % slices == 0 else {
      throw ValidationError(
        "--slices \(slices): must divide the number of processes, --processes \(processes)")
    }
  }

  func run() throws {
    try withExitStatus {
      let settings = try options.settings(for: model.path, step: model.step)
      let run = try AlignmentRun(settings, prompts: try options.prompts.inputs(quiet: quiet))
      if !quiet { run.notes.forEach(note) }
      let plan = try run.predicted(
        on: ProcessLayout(
          processes: processes, slices: slices,
          networkRate: network.map { Double($0.bytes) } ?? ProcessLayout.usualRate))
      try StandardOutput.print(
        json ? String(decoding: try recordJSON(plan), as: UTF8.self) : PlanTable(plan).text)
      try plan.requireWithin(settings.maxMemory)
    }
  }
}
