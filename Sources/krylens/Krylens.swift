import Analysis
import ArgumentParser
import Files
import Foundation

/// The `krylens` command. It reads options, passes them to `Analysis` and shows the results; it does no mathematics.
@main
struct Krylens: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "krylens",
    abstract: "Studies transformers through their residual Jacobians without ever forming one.",
    discussion: """
      krylens align MODEL -p TEXT finds the top singular triplets of every block's residual Jacobian and measures how \
      well the blocks line up (arXiv 2407.07810). MODEL is a Hugging Face folder, a .gguf file, or a hub name in the \
      local cache. In paths, a leading ~ stands for the home folder.
      """,
    version: builtVersion,
    subcommands: [
      AlignCommand.self, TripletsCommand.self, TokensCommand.self, ShowCommand.self,
      VerifyCommand.self,
      InfoCommand.self, PlanCommand.self,
      BenchCommand.self,
      SynthesizeCommand.self, MergeCommand.self, CompareCommand.self, CorrelateCommand.self,
      EmergenceCommand.self, ReportCommand.self, EigenCommand.self, LensCommand.self,
    ])

  /// The version, and whether the command can be one of several processes.
  private static var builtVersion: String {
    #if MPI
      "\(krylensVersion) with MPI"
    #else
      krylensVersion
    #endif
  }

  static func main() {
    startAnewIfAddressSpaceIsLimited()
    keepFreedMemory()
    StandardOutput.keepPlaces()
    let launch = Launch(ProcessInfo.processInfo.environment)
    guard launch.isShared else { return runAlone() }
    #if MPI
      ProcessJob.run(launch)
    #else
      launch.refuse(
        "\(launch.launcher) started \(launch.processes) processes, but this krylens was built without MPI; build it with "
          + "swift build -c release --traits MPI, or start one process")
    #endif
  }

  /// Does what ArgumentParser's own `main` does, but fails if standard output, help texts included, cannot be written.
  private static func runAlone() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let failure as CommandFailure {
      failure.exit()
    } catch {
      let code = exitCode(for: error)
      guard code == .success else { exit(withError: error) }
      let text = fullMessage(for: error)
      do { if !text.isEmpty { try StandardOutput.print(text) } } catch { exit(withError: error) }
    }
  }
}
