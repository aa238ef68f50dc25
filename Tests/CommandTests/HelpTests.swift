import Foundation
import TestSupport
import Testing

/// The help texts of the command and of every subcommand, as a user sees them.
@Suite struct HelpTests {
  /// A command in what `--experimental-dump-help` prints.
  private struct Dump: Decodable {
    let command: HelpOfCommand
  }

  private struct HelpOfCommand: Decodable {
    let commandName: String
    let abstract: String?
    let arguments: [HelpOfArgument]?
    let subcommands: [HelpOfCommand]?

    /// This command and all below it, with the names that lead to each; without ArgumentParser's own `help`.
    func all(_ names: [String] = []) -> [(names: [String], command: HelpOfCommand)] {
      [(names, self)]
        + (subcommands ?? []).filter { $0.commandName != "help" }
        .flatMap { $0.all(names + [$0.commandName]) }
    }
  }

  private struct HelpOfArgument: Decodable {
    let valueName: String?
    let shouldDisplay: Bool
    let abstract: String?
  }

  private func commands() throws -> [(names: [String], command: HelpOfCommand)] {
    let dump = try Command.run(["--experimental-dump-help"], in: try ScratchFolder())
    try #require(dump.status == 0, "\(dump.error)")
    return try JSONDecoder().decode(Dump.self, from: Data(dump.output.utf8)).command.all()
  }

  @Test func everyHelpFitsIn80Columns() throws {
    let scratch = try ScratchFolder()
    let commands = try commands()
    #expect(commands.contains { $0.names == ["align"] })
    #expect(commands.contains { $0.names == ["lens", "fit"] })
    for (names, _) in commands {
      let help = try Command.run(names + ["--help"], in: scratch, environment: ["COLUMNS": "80"])
      #expect(help.status == 0 && help.error.isEmpty)
      for line in help.output.split(separator: "\n") {
        #expect(line.count <= 80, "krylens \(names.joined(separator: " ")) --help: \(line)")
      }
    }
  }

  /// Every command, option and argument that is shown has a help text: a phrase with a capital and a period.
  @Test func everyOptionHasAHelpText() throws {
    for (names, command) in try commands() {
      let texts =
        [command.abstract]
        + (command.arguments ?? []).filter(\.shouldDisplay).map(\.abstract)
      for text in texts {
        let text = text ?? ""
        #expect(
          text.first?.isUppercase == true && (text.hasSuffix(".") || text.hasSuffix(").")),
          "krylens \(names.joined(separator: " ")): \"\(text)\"")
      }
    }
  }
}
