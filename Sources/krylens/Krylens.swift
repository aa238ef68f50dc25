import Analysis
import ArgumentParser
import Files
import Foundation

/// The command. It reads options, hands them to `Analysis`, and shows what comes back; no mathematics.
@main
struct Krylens: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "krylens",
    abstract: "Looks at transformers through their residual Jacobians, without building one.",
    discussion: """
      krylens align MODEL -p TEXT finds the top singular triplets of every block's residual Jacobian and how well \
      the blocks line up (arXiv 2407.07810). MODEL is a Hugging Face folder, a .gguf file, or a hub name in the local \
      cache. Where a file or folder is named, a leading ~ is the home folder.
      """,
    version: krylensVersion,
    subcommands: [
      AlignCommand.self, TripletsCommand.self, TokensCommand.self, ShowCommand.self,
      VerifyCommand.self,
      InfoCommand.self, PlanCommand.self,
      BenchCommand.self,
      SynthesizeCommand.self, MergeCommand.self, CompareCommand.self, CorrelateCommand.self,
      EmergenceCommand.self, ReportCommand.self, EigenCommand.self, LensCommand.self,
    ])

  /// As the library's own, but what goes to standard output, help among it, is known to have got there.
  static func main() {
    startAnewIfAddressSpaceIsLimited()
    keepFreedMemory()
    StandardOutput.keepPlaces()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      let code = exitCode(for: error)
      guard code == .success else { exit(withError: error) }
      let text = fullMessage(for: error)
      do { if !text.isEmpty { try StandardOutput.print(text) } } catch { exit(withError: error) }
    }
  }
}
