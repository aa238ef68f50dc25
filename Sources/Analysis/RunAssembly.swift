import Alignment
import Checkpoint
import LinearAlgebra
import Model

/// Makes a run's results of what its journal holds: the same from a run just ended, a resumed one, and one read again.
struct RunAssembly {
  let manifest: RunManifest
  let journal: any RunJournal
  /// The prompts of the manifest that are among the results, in order: all, unless only some of them were asked for.
  private let included: [Int]

  /// Numbers of a prompt's A(i|j) that are written at most: 64 MB.
  private static let mostCouplings = 1 << 24

  /// Of all prompts, as far as anything is known of them.
  init(manifest: RunManifest, journal: any RunJournal) {
    (self.manifest, self.journal) = (manifest, journal)
    included = Array(manifest.prompts.indices)
  }

  /// Of the prompts asked for, and of those that are finished all the same.
  init(manifest: RunManifest, journal: any RunJournal, asked: [Int]) throws {
    self.init(manifest: manifest, journal: journal, included: asked)
    guard asked.count < manifest.prompts.count else { return }
    var found = Set(asked)
    for group in manifest.groups where !group.prompts.allSatisfy(found.contains) {
      let results = try results(group)
      for result in results where result.isComplete && result.record.failed == nil {
        found.insert(result.index)
      }
    }
    self.init(manifest: manifest, journal: journal, included: found.sorted())
  }

  private init(manifest: RunManifest, journal: any RunJournal, included: [Int]) {
    (self.manifest, self.journal, self.included) = (manifest, journal, included)
  }

  /// What is known of a group's prompts.
  private func results(_ group: PromptGroup) throws -> [PromptResult] {
    let paths = try journal.paths(ofGroup: group)
    let solved = try manifest.layers.map { try journal.solved(group, layer: $0) }
    let couplings = try manifest.layers.map { try journal.couplings(group, layer: $0) }
    return try group.prompts.enumerated().map { p, index in
      let header = manifest.prompts[index]
      if let failure = try journal.failure(ofPrompt: index) {
        return PromptResult(header, index: index, failure)
      }
      let problems = group.problems(ofPrompt: p)
      let found = solved.indices.compactMap { i in
        solved[i].flatMap { block in
          let triplets = block.triplets[problems].compactMap { $0 }
          return triplets.count == problems.count ? (i, triplets, block.seconds) : nil
        }
      }
      let coupled = couplings.compactMap { block in
        block.flatMap { block in
          let found = block[problems].compactMap { $0 }
          return found.count == problems.count ? found : nil
        }
      }
      return PromptResult(
        manifest, header, index: index, path: paths?[p], solved: found,
        couplings: coupled.count == manifest.layers.count ? coupled : nil)
    }
  }

  /// The record of what is known of the run. `seconds` and memory are the caller's to say.
  func result(
    seconds: RunRecord.Seconds, peakMemoryBytes: Int, peakPrivateBytes: Int
  ) throws -> RunResult {
    let isIncluded = Set(included)
    var prompts: [PromptResult] = []
    var isComplete = true
    for group in manifest.groups where group.prompts.contains(where: isIncluded.contains) {
      for result in try results(group) where isIncluded.contains(result.index) {
        isComplete = isComplete && result.isComplete
        if result.isBegun { prompts.append(result) }
      }
    }
    let records = prompts.map(\.record)
    let record = RunRecord(
      krylens: manifest.krylens, complete: isComplete, model: manifest.model,
      settings: manifest.settings, promptList: manifest.promptList, prompts: records,
      statistics: StudyStatistics(records, diagonal: manifest.settings.diagonal), seconds: seconds,
      peakMemoryBytes: peakMemoryBytes, peakPrivateBytes: peakPrivateBytes)
    return RunResult(record: record, prompts: prompts)
  }

  // MARK: Arrays

  /// `p0.l1.U`, `p0.l1.V` (k, d) and `p0.l1.S` (k), rows are vectors; with several tokens a prompt `p0.l1.t3.U`, or
  /// `p0.l1.f3.t9.U` from one token to another. Precondition: the run is complete.
  func writeTriplets(to path: String) throws {
    var entries: [SafetensorsWriter.Entry] = []
    try forEachTriplets { name, t in
      let (u, v) = (t.leftVectors, t.rightVectors)
      entries.append(.init(name: name + "U", shape: [u.rows, u.columns]))
      entries.append(.init(name: name + "V", shape: [v.rows, v.columns]))
      entries.append(.init(name: name + "S", shape: [t.singularValues.count]))
    }
    let writer = try SafetensorsWriter(path, entries: entries)
    try forEachTriplets { _, t in
      for part in [t.leftVectors.elements, t.rightVectors.elements, t.singularValues] {
        try writer.append(part.map { Float($0) })
      }
    }
    try writer.finish()
  }

  private func forEachTriplets(_ body: (String, SingularTriplets) throws -> Void) throws {
    try forEachGroup { group, prompts in
      let blocks = try manifest.layers.map { try unit(journal.solved(group, layer: $0), $0) }
      for (p, place) in prompts {
        for (layer, block) in zip(manifest.layers, blocks) {
          for problem in group.problems(ofPrompt: p) {
            let tokens = group.problems[problem].tokens
            let suffix =
              !variesTokens
              ? "" : tokens.isSingle ? "t\(tokens.target)." : "f\(tokens.source).t\(tokens.target)."
            try body("p\(place).l\(layer).\(suffix)", try unit(block.triplets[problem], layer))
          }
        }
      }
    }
  }

  /// The groups that have prompts among the results, each with those that have not failed: position in the group, and among
  /// the results.
  private func forEachGroup(
    _ body: (_ group: PromptGroup, _ prompts: [(prompt: Int, place: Int)]) throws -> Void
  ) throws {
    let places = Dictionary(uniqueKeysWithValues: included.enumerated().map { ($1, $0) })
    for group in manifest.groups {
      let prompts = try group.prompts.enumerated().compactMap { p, index in
        try places[index].flatMap { place in
          try journal.failure(ofPrompt: index) == nil ? (p, place) : nil
        }
      }
      if !prompts.isEmpty { try body(group, prompts) }
    }
  }

  /// A unit that was there a moment ago.
  private func unit<Unit>(_ found: Unit?, _ layer: Int) throws -> Unit {
    guard let found else {
      throw RunError.lostUnit(
        path: manifest.settings.output ?? "the run",
        unit: layer == 0 ? "the hidden states of some prompts" : "what was found at block \(layer)")
    }
    return found
  }

  /// `p0.A` (L, L, K, K): A(i|j) = Uⱼᵀ Jᵢ Vⱼ of kind depth at the largest rank; with several tokens `p0.t3.A`, and of the
  /// kinds that compare tokens `p0.l1.A` (n, n, K, K). Left out for prompts where that is more than 64 MB; false if
  /// nothing is left. Precondition: the run is complete.
  func writeCouplings(to path: String) throws -> Bool {
    var entries: [SafetensorsWriter.Entry] = []
    try forEachCoupling { name, sides, rank, _ in
      entries.append(.init(name: name, shape: [sides, sides, rank, rank]))
    }
    guard !entries.isEmpty else { return false }
    let writer = try SafetensorsWriter(path, entries: entries)
    try forEachCoupling { _, _, _, numbers in try writer.append(numbers.map { Float($0) }) }
    try writer.finish()
    return true
  }

  private func forEachCoupling(
    _ body: (_ name: String, _ side: Int, _ rank: Int, _ numbers: [Double]) throws -> Void
  ) throws {
    try forEachGroup { group, prompts in
      let blocks = try manifest.layers.map { try unit(journal.couplings(group, layer: $0), $0) }
      let solved = try manifest.layers.map { try unit(journal.solved(group, layer: $0), $0) }
      for (p, place) in prompts {
        let problems = group.problems(ofPrompt: p)
        let tables = CouplingTables(
          manifest, manifest.prompts[group.prompts.lowerBound + p].selections,
          triplets: try zip(solved, manifest.layers).map { block, layer in
            try problems.map { try unit(block.triplets[$0], layer) }
          },
          couplings: try zip(blocks, manifest.layers).map { block, layer in
            try problems.map { try unit(block[$0], layer) }
          }
        ).blocks
        guard tables.reduce(0, { $0 + $1.numbers.count }) <= Self.mostCouplings else { continue }
        for table in tables {
          var name = "p\(place)."
          if let layer = table.place.layer {
            name += "l\(layer)."
          } else if variesTokens {
            name += "t\(table.place.toToken ?? 0)."
          }
          try body(name + "A", table.side, table.rank, table.numbers)
        }
      }
    }
  }

  /// `p0.x0` … `p0.xL` (tokens, width). Precondition: the run is complete and has kept them.
  func writeHiddenStates(to path: String) throws {
    var entries: [SafetensorsWriter.Entry] = []
    try forEachState { name, x in
      entries.append(.init(name: name, shape: [x.rows, x.columns]))
    }
    let writer = try SafetensorsWriter(path, entries: entries)
    try forEachState { _, x in try writer.append(x.elements) }
    try writer.finish()
  }

  private func forEachState(_ body: (String, Matrix<Float>) throws -> Void) throws {
    try forEachGroup { group, prompts in
      let states = try unit(journal.hiddenStates(group), 0)
      for (p, place) in prompts {
        for (l, x) in states[p].enumerated() { try body("p\(place).x\(l)", x) }
      }
    }
  }

  /// Whether prompts have several Jacobians a block, or may have.
  private var variesTokens: Bool {
    manifest.settings.kind != .depth || manifest.settings.tokens != .last
  }
}

/// What a run leaves: the record, and what is shown of every prompt.
public struct RunResult: Sendable {
  /// For `result.json`.
  public let record: RunRecord
  /// One a prompt.
  public let prompts: [PromptResult]
}
