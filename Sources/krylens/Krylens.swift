import Analysis
import ArgumentParser

/// The command. It reads options, hands them to `Analysis`, and shows what comes back; no mathematics.
@main
struct Krylens: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "krylens",
    abstract: "Looks at transformers through their residual Jacobians, without building one.",
    discussion: """
      krylens align MODEL -p TEXT finds the top singular triplets of every block's residual Jacobian and how well \
      the blocks line up (arXiv 2407.07810). MODEL is a Hugging Face folder, a .gguf file, or a hub name in the local \
      cache.
      """,
    version: krylensVersion,
    subcommands: [
      AlignCommand.self, InfoCommand.self, PlanCommand.self, BenchCommand.self,
      SynthesizeCommand.self, MergeCommand.self, CompareCommand.self, CorrelateCommand.self,
      EmergenceCommand.self, ReportCommand.self,
    ])

  static func main() {
    startAnewIfAddressSpaceIsLimited()
    main(nil)
  }
}
