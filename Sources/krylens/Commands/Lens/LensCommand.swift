import ArgumentParser

/// The parent of the commands on averaged Jacobians.
struct LensCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lens",
    abstract:
      "Fit, read and compare averaged Jacobians from each boundary to the last.",
    discussion: """
      J_l is the mean over all prompts and source positions s of Σ_t ∂x_t/∂x_s, from the states after l blocks to the \
      states after the last (arXiv 2607.15495). Boundary l is where the states after l blocks are.
      """,
    subcommands: [
      LensFitCommand.self, LensReadCommand.self, LensCompareCommand.self, LensMergeCommand.self,
    ])
}
