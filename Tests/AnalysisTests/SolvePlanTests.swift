import Checkpoint
import Model
import TestSupport
import Testing

@testable import Analysis

/// Options against a model: what is asked for is planned exactly, or refused by the option's name.
struct SolvePlanTests {
  static let model = Result {
    try loadTransformer(CheckpointDirectory(opening: ModelFixture("llama").folder)).description
  }

  private func plan(
    lengths: [Int] = [4, 6], isCausal: Bool = true, _ change: (inout RunSettings) -> Void
  ) throws -> SolvePlan {
    var settings = RunSettings(model: "m", name: "m", threads: 1)
    (settings.top, settings.ranks) = (4, [4])
    change(&settings)
    var model = try Self.model.get()
    model.isCausal = isCausal
    return try SolvePlan(settings, model, promptLengths: lengths)
  }

  private func expectRefusal(
    _ option: String, lengths: [Int] = [4, 6], _ change: (inout RunSettings) -> Void,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let error = #expect(throws: RunError.self, sourceLocation: sourceLocation) {
      try plan(lengths: lengths, change)
    }
    guard case .badOption(let named, _, let reason)? = error else {
      Issue.record("\(String(describing: error))", sourceLocation: sourceLocation)
      return
    }
    #expect(named == option && !reason.isEmpty, sourceLocation: sourceLocation)
  }

  @Test func defaults() throws {
    let plan = try plan { _ in }
    #expect(plan.layers == [1, 2, 3] && plan.normedLayer == nil && plan.coversPath)
    #expect(plan.tokens == [TokenSelection(3), TokenSelection(5)])
    #expect(plan.shown.map(\.rank) == [4])
  }

  @Test func lastBlock() throws {
    #expect(try plan { $0.last = .normed }.normedLayer == 3)
    #expect(try plan { $0.last = .drop }.layers == [1, 2])
    #expect(try plan { ($0.last, $0.layers) = (.drop, [2, 3]) }.layers == [2])
    expectRefusal("--layers") { ($0.last, $0.layers) = (.drop, [3]) }
    expectRefusal("--last") { ($0.last, $0.site) = (.normed, .attention) }
  }

  @Test func pathIsCoveredOnlyByAllResidualFunctionsOfOneToken() throws {
    #expect(try !plan { $0.last = .normed }.coversPath)
    #expect(try !plan { $0.last = .drop }.coversPath)
    #expect(try !plan { $0.site = .mlp }.coversPath)
    #expect(try !plan { $0.layers = [1, 3] }.coversPath)
    #expect(try !plan { $0.fromToken = .index(0) }.coversPath)
  }

  @Test func sizes() {
    expectRefusal("--top") { $0.top = 0 }
    expectRefusal("--top") { $0.top = 25 }
    expectRefusal("--ranks") { $0.ranks = [] }
    expectRefusal("--ranks") { $0.ranks = [4, 5] }
    expectRefusal("--ranks") { $0.ranks = [0] }
    expectRefusal("--layers") { $0.layers = [1, 4] }
    expectRefusal("--layers") { $0.layers = [] }
    for tolerance in [0, -1, 1, .nan, .infinity] {
      expectRefusal("--tolerance") { $0.tolerance = tolerance }
    }
    expectRefusal("--normalisation") { $0.normalisation = "p=x" }
  }

  @Test func tokens() throws {
    let cross = try plan { ($0.fromToken, $0.toToken) = (.index(1), .index(-2)) }
    #expect(
      cross.tokens == [TokenSelection(source: 1, target: 2), TokenSelection(source: 1, target: 4)])
    expectRefusal("--from-token") { $0.fromToken = .index(4) }
    expectRefusal("--to-token") { $0.toToken = .index(-5) }
    expectRefusal("--to-token") { ($0.fromToken, $0.toToken) = (.index(2), .index(1)) }
    // Token 3 is the last of one prompt and not of the other.
    expectRefusal("--from-token") { $0.fromToken = .index(3) }
    // Without a causal mask any token influences any other.
    let back = try plan(isCausal: false) { ($0.fromToken, $0.toToken) = (.index(2), .index(1)) }
    #expect(back.tokens.allSatisfy { $0 == TokenSelection(source: 2, target: 1) })
  }

  @Test(arguments: 1...5)
  func tokenIndices(count: Int) {
    for i in -7...7 {
      let position = TokenIndex.index(i).position(in: count)
      #expect(position == (i >= 0 ? i : count + i) || position == nil)
      #expect((position == nil) == (i >= count || i < -count))
    }
    #expect(TokenIndex.last.position(in: count) == count - 1)
    #expect(TokenIndex.last.position(in: 0) == nil)
    #expect(TokenIndex.index(.min).position(in: count) == nil)
    #expect(TokenIndex.index(.max).position(in: count) == nil)
  }

  @Test func spellingOfTokenIndices() {
    #expect(TokenIndex("last") == .last)
    #expect(TokenIndex("0") == .index(0) && TokenIndex("-1") == .index(-1))
    for text in ["", "first", "1.0", "LAST", " 1", "1e3", "99999999999999999999"] {
      #expect(TokenIndex(text) == nil, "\(text)")
    }
  }
}
