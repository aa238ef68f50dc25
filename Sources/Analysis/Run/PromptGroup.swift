import Model

/// Prompts that go through the blocks together, and their Jacobians: the problems of one block.
///
/// Groups and batches depend on the prompts' selections alone, never on what has been done already.
struct PromptGroup: Sendable {
  /// A Jacobian of every block.
  struct Problem: Sendable {
    /// Its prompt, counted within the group.
    let prompt: Int
    /// From which token to which.
    let tokens: TokenSelection
  }

  /// The position among the groups.
  let index: Int
  /// The run's prompts that are in it.
  let prompts: Range<Int>
  /// All Jacobians at one block, prompt after prompt.
  let problems: [Problem]
  /// Problems that are linearized and solved in one batch, each at most `limit` and all from a token to itself, or none.
  let batches: [Range<Int>]

  /// The most of a batch.
  static let limit = 16

  /// Groups of as many prompts as have `limit` problems together, one at least.
  static func groups(_ selections: [[TokenSelection]]) -> [PromptGroup] {
    var groups: [PromptGroup] = []
    var first = 0
    while first < selections.count {
      var end = first + 1
      var count = selections[first].count
      while end < selections.count, count + selections[end].count <= limit {
        count += selections[end].count
        end += 1
      }
      groups.append(PromptGroup(index: groups.count, first..<end, selections))
      first = end
    }
    return groups
  }

  private init(index: Int, _ prompts: Range<Int>, _ selections: [[TokenSelection]]) {
    self.index = index
    self.prompts = prompts
    let problems = prompts.flatMap { p in
      selections[p].map { Problem(prompt: p - prompts.lowerBound, tokens: $0) }
    }
    self.problems = problems
    var batches: [Range<Int>] = []
    var first = 0
    while first < problems.count {
      let isSingle = problems[first].tokens.isSingle
      let end = problems[first...].firstIndex { $0.tokens.isSingle != isSingle } ?? problems.count
      // Of one size, or one apart.
      let parts = (end - first + Self.limit - 1) / Self.limit
      for part in 0..<parts {
        let bound = { (i: Int) in first + (end - first) * i / parts }
        batches.append(bound(part)..<bound(part + 1))
      }
      first = end
    }
    self.batches = batches
  }

  /// The problems of one of the group's prompts.
  func problems(ofPrompt p: Int) -> Range<Int> {
    let first = problems.firstIndex { $0.prompt == p } ?? problems.count
    return first..<(problems[first...].firstIndex { $0.prompt != p } ?? problems.count)
  }
}

extension TokenSelection {
  /// Whether it goes from a token to itself.
  var isSingle: Bool { source == target }
}
