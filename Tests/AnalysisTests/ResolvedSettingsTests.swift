import Checkpoint
import Model
import TestSupport
import Testing

@testable import Analysis

/// Settings resolved for a model: a request is planned exactly, or refused with the setting's key.
struct ResolvedSettingsTests {
  static let model = Result {
    try loadTransformer(CheckpointDirectory(opening: ModelFixture("llama").folder)).description
  }

  private func resolved(
    lengths: [Int] = [4, 6], isCausal: Bool = true, _ change: (inout RunSettings) -> Void
  ) throws -> ResolvedSettings {
    var settings = RunSettings(model: "m", name: "m", threads: 1)
    (settings.top, settings.ranks) = (4, [4])
    change(&settings)
    var model = try Self.model.get()
    model.isCausal = isCausal
    return try ResolvedSettings(settings, model, promptLengths: lengths)
  }

  private func expectRefusal(
    _ key: SettingKey, lengths: [Int] = [4, 6], _ change: (inout RunSettings) -> Void,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let error = #expect(throws: RunError.self, sourceLocation: sourceLocation) {
      try resolved(lengths: lengths, change)
    }
    guard case .badSetting(let named, _, let reason)? = error else {
      Issue.record("\(String(describing: error))", sourceLocation: sourceLocation)
      return
    }
    #expect(named == key && !reason.description.isEmpty, sourceLocation: sourceLocation)
  }

  @Test func defaults() throws {
    let resolved = try resolved { _ in }
    #expect(resolved.layers == [1, 2, 3] && resolved.normedLayer == nil && resolved.coversPath)
    #expect(resolved.selections == [[TokenSelection(3)], [TokenSelection(5)]])
  }

  @Test func lastBlock() throws {
    #expect(try resolved { $0.last = .normed }.normedLayer == 3)
    #expect(try resolved { $0.last = .drop }.layers == [1, 2])
    #expect(try resolved { ($0.last, $0.layers) = (.drop, [2, 3]) }.layers == [2])
    expectRefusal(.layers) { ($0.last, $0.layers) = (.drop, [3]) }
    expectRefusal(.last) { ($0.last, $0.site) = (.normed, .attention) }
  }

  @Test func pathIsCoveredOnlyByAllResidualFunctionsOfOneToken() throws {
    #expect(try !resolved { $0.last = .normed }.coversPath)
    #expect(try !resolved { $0.last = .drop }.coversPath)
    #expect(try !resolved { $0.site = .mlp }.coversPath)
    #expect(try !resolved { $0.layers = [1, 3] }.coversPath)
    #expect(try !resolved { $0.fromToken = .index(0) }.coversPath)
  }

  @Test func sizes() {
    expectRefusal(.top) { $0.top = 0 }
    expectRefusal(.top) { $0.top = 25 }
    expectRefusal(.ranks) { $0.ranks = [] }
    expectRefusal(.ranks) { $0.ranks = [4, 5] }
    expectRefusal(.ranks) { $0.ranks = [0] }
    expectRefusal(.layers) { $0.layers = [1, 4] }
    expectRefusal(.layers) { $0.layers = [] }
    for tolerance in [0, -1, 1, .nan, .infinity] {
      expectRefusal(.tolerance) { $0.tolerance = tolerance }
    }
    expectRefusal(.normalisation) { $0.normalisation = "p=x" }
  }

  @Test func tokens() throws {
    let cross = try resolved { ($0.fromToken, $0.toToken) = (.index(1), .index(-2)) }
    #expect(
      cross.selections == [
        [TokenSelection(source: 1, target: 2)], [TokenSelection(source: 1, target: 4)],
      ])
    expectRefusal(.fromToken) { $0.fromToken = .index(4) }
    expectRefusal(.toToken) { $0.toToken = .index(-5) }
    expectRefusal(.toToken) { ($0.fromToken, $0.toToken) = (.index(2), .index(1)) }
    // Token 3 is the last of one prompt and not of the other.
    expectRefusal(.fromToken) { $0.fromToken = .index(3) }
    // Without a causal mask any token influences any other.
    let back = try resolved(isCausal: false) { ($0.fromToken, $0.toToken) = (.index(2), .index(1)) }
    #expect(back.selections.allSatisfy { $0 == [TokenSelection(source: 2, target: 1)] })
  }

  @Test func kinds() throws {
    let pairs = { (pairs: [(Int, Int)]) in pairs.map { TokenSelection(source: $0, target: $1) } }
    let all = try resolved(lengths: [3]) { ($0.kind, $0.tokens) = (.tokens, .all) }
    #expect(all.selections == [pairs([(0, 0), (1, 1), (2, 2)])] && all.mostBases == 3)
    // Each token once and in order, however they are given.
    let some = try resolved(lengths: [4, 6]) { $0.tokens = .indices([-1, 0, 3]) }
    #expect(some.selections == [pairs([(0, 0), (3, 3)]), pairs([(0, 0), (3, 3), (5, 5)])])
    #expect(some.mostBases == 3 && some.coversPath)
    let from = try resolved(lengths: [4]) {
      ($0.kind, $0.fromToken, $0.tokens) = (.contextInput, .index(1), .all)
    }
    #expect(from.selections == [pairs([(1, 1), (1, 2), (1, 3)])] && !from.coversPath)
    let to = try resolved(lengths: [4]) {
      ($0.kind, $0.toToken, $0.tokens) = (.contextOutput, .index(2), .all)
    }
    #expect(to.selections == [pairs([(0, 2), (1, 2), (2, 2)])])
    // Without a causal mask every token may be an input.
    let back = try resolved(lengths: [4], isCausal: false) {
      ($0.kind, $0.toToken, $0.tokens) = (.contextOutput, .index(0), .indices([1, 3]))
    }
    #expect(back.selections == [pairs([(1, 0), (3, 0)])])
    expectRefusal(.tokens) { ($0.kind, $0.tokens) = (.tokens, .indices([4])) }
    expectRefusal(.tokens) {
      ($0.kind, $0.toToken, $0.tokens) = (.contextOutput, .index(0), .indices([1]))
    }
    #expect(try resolved { ($0.kind, $0.basisLayer) = (.tokens, 2) }.basis == 1)
    expectRefusal(.basisLayer) { $0.basisLayer = 2 }
    expectRefusal(.basisLayer) { ($0.kind, $0.basisLayer, $0.layers) = (.tokens, 2, [1, 3]) }
  }

  /// Groups fill up to 16 Jacobians; batches are homogeneous, even, and cover every Jacobian once and in order.
  @Test func groupsAndBatches() throws {
    let lengths = [5, 5, 5, 5, 40, 1, 15, 2]
    let resolved = try resolved(lengths: lengths) { ($0.kind, $0.tokens) = (.contextOutput, .all) }
    let groups = PromptGroup.groups(resolved.selections)
    #expect(groups.map(\.prompts) == [0..<3, 3..<4, 4..<5, 5..<7, 7..<8])
    for group in groups {
      #expect(group.batches.flatMap { Array($0) } == Array(group.jacobians.indices))
      for batch in group.batches {
        #expect(batch.count <= 16)
        #expect(Set(group.jacobians[batch].map { $0.tokens.source == $0.tokens.target }).count == 1)
      }
      for (p, prompt) in group.prompts.enumerated() {
        #expect(
          group.jacobians[group.jacobians(ofPrompt: p)].map(\.tokens) == resolved.selections[prompt]
        )
      }
    }
    #expect(groups[2].batches.map(\.count) == [13, 13, 13, 1])
  }

  @Test func shards() {
    for count in 1...9 {
      for total in 0...20 {
        let parts = (1...count).map { Shard(index: $0, count: count)!.range(of: total) }
        #expect(parts.flatMap { Array($0) } == Array(0..<total))
        #expect(parts.map(\.count).max()! - parts.map(\.count).min()! <= 1)
      }
    }
    #expect(Shard("2/8") == Shard(index: 2, count: 8))
    for text in ["", "2", "0/8", "9/8", "2/8/3", "a/b", "-1/2", "1/99999999999", " 1/2"] {
      #expect(Shard(text) == nil, "\(text)")
    }
  }

  @Test func spellingOfTokenLists() {
    #expect(TokenList("last") == .last && TokenList("all") == .all)
    #expect(TokenList("0, 3,-1") == .indices([0, 3, -1]))
    for text in ["", "first", "1,,2", "1;2", "1.0"] { #expect(TokenList(text) == nil, "\(text)") }
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
