import Model

/// Prompts that go through the blocks together, and their Jacobians at one block.
///
/// Groups and batches depend only on the prompts' selections, never on what is already finished.
struct PromptGroup: Sendable {
  /// A Jacobian, one at each block.
  struct Jacobian: Sendable {
    /// The prompt, counted within the group.
    let prompt: Int
    /// The input and output token.
    let tokens: TokenSelection
  }

  /// The position among the groups.
  let index: Int
  /// The run's prompts in the group.
  let prompts: Range<Int>
  /// All Jacobians at one block, prompt after prompt.
  let jacobians: [Jacobian]
  /// Batches of Jacobians that are linearized and solved together: at most `limit` each, and either all or none of them from a
  /// token to itself.
  let batches: [Range<Int>]

  /// The most Jacobians in a batch.
  static let limit = 16

  /// Groups of as many prompts as have at most `limit` Jacobians together, but of at least one prompt.
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
    let jacobians = prompts.flatMap { p in
      selections[p].map { Jacobian(prompt: p - prompts.lowerBound, tokens: $0) }
    }
    self.jacobians = jacobians
    var batches: [Range<Int>] = []
    var first = 0
    while first < jacobians.count {
      let isSingle = jacobians[first].tokens.isSingle
      let end = jacobians[first...].firstIndex { $0.tokens.isSingle != isSingle } ?? jacobians.count
      // Batch sizes differ by at most one.
      let parts = (end - first + Self.limit - 1) / Self.limit
      for part in 0..<parts {
        let bound = { (i: Int) in first + (end - first) * i / parts }
        batches.append(bound(part)..<bound(part + 1))
      }
      first = end
    }
    self.batches = batches
  }

  /// The Jacobians of one of the group's prompts.
  func jacobians(ofPrompt p: Int) -> Range<Int> {
    let first = jacobians.firstIndex { $0.prompt == p } ?? jacobians.count
    return first..<(jacobians[first...].firstIndex { $0.prompt != p } ?? jacobians.count)
  }
}

extension TokenSelection {
  /// Whether it goes from a token to itself.
  var isSingle: Bool { source == target }
}
