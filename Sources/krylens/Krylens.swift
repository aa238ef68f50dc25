import ArgumentParser

@main
struct Krylens: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "krylens")
}
