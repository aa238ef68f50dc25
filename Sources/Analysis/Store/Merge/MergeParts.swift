import Files
/// Runs in the order in which they are joined: the parts of one list of prompts, or complete runs without a common prompt.
struct MergeParts {
  let runs: [StoredRun]

  /// Throws `RunError.notTogether` if a part is missing, given twice or of another list, or if two runs have the same prompt.
  init(_ runs: [StoredRun]) throws(RunError) {
    guard let count = runs.compactMap(\.record.settings.shard).first?.count else {
      try Self.refuseCommonPrompts(
        runs, remedy: "a prompt may be in only one of the runs: leave one of the two out")
      self.runs = runs
      return
    }
    self.runs = try Self.inOrder(runs, count)
    try Self.checkList(self.runs)
  }

  /// The shards in the order of their numbers, each once.
  private static func inOrder(_ runs: [StoredRun], _ count: Int) throws(RunError) -> [StoredRun] {
    var parts: [Int: StoredRun] = [:]
    for run in runs {
      guard let shard = run.record.settings.shard, shard.count == count else {
        throw .notTogether(
          path: run.path, reason: "is not one of \(count) parts, but another run is")
      }
      if let twin = parts.updateValue(run, forKey: shard.index) {
        throw .notTogether(
          path: run.path, reason: "is part \(shard.index) of \(count), and so is \(twin.path)")
      }
    }
    if let missing = (1...count).first(where: { parts[$0] == nil }) {
      throw .notTogether(
        path: runs[0].path,
        reason:
          "is one of \(count) parts, of which \(missing)/\(count) is missing; give its run too")
    }
    return (1...count).compactMap { parts[$0] }
  }

  /// Checks that the shards are parts of one list. Earlier versions did not record the list; then different lists are detected
  /// by parts of the wrong size and by prompts that are in two parts.
  private static func checkList(_ parts: [StoredRun]) throws(RunError) {
    let prompts = parts.flatMap(\.record.prompts)
    let known = parts.first { $0.record.promptList != nil }
    let list = known?.record.promptList
    if let known, let list {
      for part in parts where part.record.promptList != list {
        let other = part.record.promptList.map { "another list, of \($0.count) prompts" }
        throw .notTogether(
          path: part.path,
          reason:
            "is a part of \(other ?? "a list it does not name"), but \(known.path) is a part of one of "
            + "\(list.count); give every part the same prompts, in the same order")
      }
    }
    for part in parts {
      let (has, total) = (part.record.prompts.count, list?.count ?? prompts.count)
      guard let shard = part.record.settings.shard, has != shard.range(of: total).count else {
        continue
      }
      throw .notTogether(
        path: part.path,
        reason: "has \(has) prompts, but part \(shard.index) of \(shard.count) of a list of "
          + "\(total) has \(shard.range(of: total).count); give every part the same list of prompts"
      )
    }
    guard let list else {
      return try refuseCommonPrompts(
        parts, remedy: "so they may be parts of different lists: run them again from one list")
    }
    // Earlier versions hashed differently; then it is enough that all parts name the same list.
    guard list.hash.count != ContentHash.length || PromptList(prompts) == list else {
      throw .notTogether(
        path: parts[0].path,
        reason: "the \(prompts.count) prompts of all parts are not those of the list the parts "
          + "name; run the parts again from one list")
    }
  }

  /// Refuses a prompt that is in two runs: it was computed twice or comes from another list. Repeats within one run are allowed.
  private static func refuseCommonPrompts(
    _ runs: [StoredRun], remedy: String
  ) throws(RunError) {
    var owners: [[String]: (run: Int, prompt: Int)] = [:]
    for (r, run) in runs.enumerated() {
      let twin = runs[..<r].first { $0.resolvedPath == run.resolvedPath }
      if let twin {
        throw .notTogether(
          path: run.path, reason: "is the same folder as \(twin.path); give it once"
        )
      }
      for (p, prompt) in run.record.prompts.enumerated() {
        let read = prompt.read
        guard let owner = owners[read] else {
          owners[read] = (r, p)
          continue
        }
        guard owner.run != r else { continue }
        let other = runs[owner.run]
        throw .notTogether(
          path: run.path,
          reason:
            "its \(PromptLabel(number: p + 1, prompt)) is, to the token, prompt \(owner.prompt + 1) "
            + "of \(other.path); \(remedy)")
      }
    }
  }
}
