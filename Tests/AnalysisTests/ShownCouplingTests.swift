import Alignment
import TestSupport
import Testing

@testable import Analysis

/// The coupling shown from a record is the one the run would have shown, in any reading.
struct ShownCouplingTests {
  private static let readings: [(CouplingSign, String, CouplingForm, CouplingScore)] = [
    (.signed, "frobenius", .same, .oneMinus), (.absolute, "trace", .crossed, .oneMinus),
    (.signed, "p=1.5", .same, .oneMinus), (.signed, "p=3", .crossed, .misfit),
    (.absolute, "frobenius", .same, .oneMinusSquare), (.signed, "trace", .same, .misfit),
  ]

  @Test(arguments: KindTests.requests.indices, readings.indices)
  func recordsHoldEveryReading(_ kind: Int, _ reading: Int) throws {
    let folder = ModelFixture("llama").folder
    var settings = RunSettings(model: folder, name: "llama", threads: 1)
    (settings.top, settings.ranks) = (4, [2, 4])
    KindTests.requests[kind].change(&settings)
    let asked = Self.readings[reading]
    (settings.sign, settings.normalisation, settings.score) = (asked.0, asked.1, asked.3)
    settings.form = asked.2 == .crossed ? .crossed : .both
    let run = try AlignmentRun(settings, prompts: KindTests.prompts.map { .tokens($0) })
    try run.run(meter: MemoryMeter()).forEachPrompt { prompt in
      let shown = try prompt.record().shown(settings)
      var direct: [CouplingMatrix] = []
      try prompt.forEachCoupling(settings.ranks.map { settings.shown(rank: $0) }) {
        direct.append($0)
      }
      // There the ranks of one table come one after another, here the tables of one rank.
      direct = settings.ranks.flatMap { rank in direct.filter { $0.setting.rank == rank } }
      #expect(shown.map(\.setting) == direct.map(\.setting))
      #expect(shown.map(\.place) == direct.map(\.place))
      for (a, b) in zip(shown, direct) {
        for (x, y) in zip(a.matrix + [a.null ?? []], b.matrix + [b.null ?? []]) {
          #expect(x.map { $0 == nil } == y.map { $0 == nil })
          for case (let x?, let y?) in zip(x, y) {
            // 1 − (1 − m) and a quotient of norms, for misfits up to 2 or so: some roundings of numbers of that size,
            // doubled by the square.
            #expect(abs(x - y) <= 1e-14 * max(1, abs(y)), "\(x) \(y)")
          }
        }
      }
    }
  }
}
