import ArgumentParser

/// Averaged Jacobians.
struct LensCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lens",
    abstract:
      "Averaged Jacobians from every boundary between blocks to the last: fit, read, compare.",
    discussion: """
      J_l is the mean over all prompts and source positions s of Σ_t ∂x_t/∂x_s, from the states after l blocks to those \
      after the last (arXiv 2607.15495).
      """,
    subcommands: [
      LensFitCommand.self, LensReadCommand.self, LensCompareCommand.self, LensMergeCommand.self,
    ])
}
