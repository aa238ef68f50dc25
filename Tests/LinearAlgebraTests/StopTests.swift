import Foundation
import LinearAlgebra
import Testing

/// Why a solve stopped, written and read back.
@Suite struct StopTests {
  private typealias Outcome = ConvergenceReport.Outcome

  @Test func survivesJSON() throws {
    let outcomes: [Outcome] = [
      .converged, .stopped(Stop(.exhausted, residual: 0.02, remedy: "raise restarts")),
      .stopped(Stop(.rounding, residual: 1.23e-5, remedy: "raise tolerance")),
    ]
    for outcome in outcomes {
      #expect(
        try JSONDecoder().decode(Outcome.self, from: JSONEncoder().encode(outcome)) == outcome)
    }
  }

  /// Earlier versions wrote the remedy alone, with the reason in it.
  @Test func readsWhatEarlierVersionsWrote() throws {
    let decode = { (json: String) in
      try JSONDecoder().decode(Outcome.self, from: Data(json.utf8))
    }
    #expect(try decode(#"{"converged":{}}"#) == .converged)
    guard case .stopped(let stop) = try decode(#"{"stopped":{"remedy":"used up: raise it"}}"#)
    else {
      Issue.record("converged")
      return
    }
    #expect(stop.residual == nil && stop.description == "used up: raise it")
  }

  /// Two digits, rounded up, so that the number can serve as a tolerance.
  @Test(arguments: [(1.301e-5, 1.4e-5), (1.3e-5, 1.3e-5), (0.0999, 0.1), (3.0, 3.0), (0, 0)])
  func residualIsRoundedUp(residual: Double, stated: Double) throws {
    let found = try #require(Stop(.rounding, residual: residual, remedy: "").residual)
    // A number of two digits may become one unit larger if its quotient rounds up.
    #expect(found >= residual && found <= stated * 1.11)
  }
}
