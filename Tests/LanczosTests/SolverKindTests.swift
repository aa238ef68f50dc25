import Lanczos
import Testing

/// `auto` uses the dense SVD for more than a quarter of a small spectrum and the block solver otherwise; a solver
/// requested by name is the one used.
@Test func autoIsDecidedByTheShareOfTheSpectrum() {
  #expect(SolverKind.auto.chosen(for: 64, width: 256) == .block)
  #expect(SolverKind.auto.chosen(for: 65, width: 256) == .dense)
  #expect(SolverKind.auto.chosen(for: 257, width: 1024) == .dense)
  #expect(SolverKind.auto.chosen(for: 2000, width: 4096) == .block)
  for kind in SolverKind.allCases where kind != .auto {
    #expect(kind.chosen(for: 65, width: 256) == kind)
  }
}
