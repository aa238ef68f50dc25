import Alignment
import Checkpoint
import LinearAlgebra
import Model

/// Assembles a run's results from its journal, with the same outcome for a run that just ended, a resumed one, and a stored one.
struct RunAssembly {
  let manifest: RunManifest
  let journal: any RunJournal
  /// The prompts of the manifest that are among the results, in order: all, unless only some were requested.
  private let included: [Int]
  private let latest = LatestBlocks()

  /// The most numbers of a prompt's A(i|j) that are written: 64 MB.
  private static let mostCouplings = 1 << 24

  /// The results for all prompts about which anything is known.
  init(manifest: RunManifest, journal: any RunJournal) {
    (self.manifest, self.journal) = (manifest, journal)
    included = Array(manifest.prompts.indices)
  }

  /// The results for the requested prompts, and for others that happen to be finished.
  init(manifest: RunManifest, journal: any RunJournal, asked: [Int]) throws {
    self.init(manifest: manifest, journal: journal, included: asked)
    guard asked.count < manifest.prompts.count else { return }
    var found = Set(asked)
    for group in manifest.groups where !group.prompts.allSatisfy(found.contains) {
      try forEachResult(group) { result in
        if result.isComplete && result.outline.failed == nil { found.insert(result.index) }
      }
    }
    self.init(manifest: manifest, journal: journal, included: found.sorted())
  }

  private init(manifest: RunManifest, journal: any RunJournal, included: [Int]) {
    (self.manifest, self.journal, self.included) = (manifest, journal, included)
  }

  /// Passes what is known about a group's prompts, one after another.
  private func forEachResult(
    _ group: PromptGroup, _ body: (PromptResult) throws -> Void
  ) throws {
    let paths = try journal.paths(ofGroup: group)
    let blocks = try kept(group)
    for (p, index) in group.prompts.enumerated() {
      let header = manifest.prompts[index]
      if let failure = try journal.failure(ofPrompt: index) {
        try body(PromptResult(header, index: index, failure))
        continue
      }
      let jacobians = group.jacobians(ofPrompt: p)
      let found = blocks.compactMap { $0 }.filter { $0.isSolved[jacobians].allSatisfy { $0 } }
      try body(
        PromptResult(
          manifest, header, index: index, path: paths?[p], jacobians: jacobians, blocks: found))
    }
  }

  /// Passes what is known about each prompt among the results, one after another.
  func forEachResult(_ body: (PromptResult) throws -> Void) throws {
    let isIncluded = Set(included)
    for group in manifest.groups where group.prompts.contains(where: isIncluded.contains) {
      try forEachResult(group) { if isIncluded.contains($0.index) { try body($0) } }
    }
  }

  /// The number of prompts among the results.
  var count: Int { included.count }

  /// The failures of prompts among the results.
  func failures() throws -> [PromptFailure] {
    try included.compactMap { index in
      try journal.failure(ofPrompt: index).flatMap {
        PromptResult(manifest.prompts[index], index: index, $0).outline.failed
      }
    }
  }

  /// The results, to be read prompt by prompt, with the caller's times and memory meter.
  func result(seconds: RunRecord.Seconds, meter: MemoryMeter?) -> RunResult {
    RunResult(assembly: self, seconds: seconds, meter: meter)
  }

  // MARK: Arrays

  /// Writes `p0.l1.U`, `p0.l1.V` (k, d) and `p0.l1.S` (k), with vectors as rows; with several tokens per prompt `p0.l1.t3.U`,
  /// or `p0.l1.f3.t9.U` from one token to another. Precondition: the run is complete.
  func writeTriplets(to path: String) throws {
    var entries: [SafetensorsWriter.Entry] = []
    let width = manifest.model.width
    try forEachJacobian { name, block, jacobian in
      let count = try block.triplets(jacobian, hasVectors: false).singularValues.count
      let vectors = [count, width]  // one array of both entries
      entries.append(.init(name: name + "U", shape: vectors))
      entries.append(.init(name: name + "V", shape: vectors))
      entries.append(.init(name: name + "S", shape: [count]))
    }
    let writer = try SafetensorsWriter(path, entries: entries)
    try forEachJacobian { _, block, jacobian in
      let t = try block.triplets(jacobian)
      for part in [t.leftVectors.elements, t.rightVectors.elements, t.singularValues] {
        try writer.append(part.map { Float($0) })
      }
    }
    try writer.finish()
  }

  private func forEachJacobian(_ body: (String, KeptBlock, Int) throws -> Void) throws {
    try forEachGroup { group, prompts in
      let blocks = try blocks(of: group)
      for (p, place) in prompts {
        for (layer, block) in zip(manifest.layers, blocks) {
          for jacobian in group.jacobians(ofPrompt: p) {
            let name = StoredTriplets.name(
              prompt: place, layer: layer, group.jacobians[jacobian].tokens,
              variesTokens: manifest.settings.variesTokens)
            try body("\(name).", block, jacobian)
          }
        }
      }
    }
  }

  /// What is kept for each block.
  private func blocks(of group: PromptGroup) throws -> [KeptBlock] {
    try zip(manifest.layers, kept(group)).map { try unit($1, $0) }
  }

  /// What is kept for each block; if that is everything, it is not opened again before another group is read.
  private func kept(_ group: PromptGroup) throws -> [KeptBlock?] {
    if latest.prompts == group.prompts { return latest.blocks }
    latest.prompts = nil
    latest.blocks = try manifest.layers.map { try journal.kept(group, layer: $0) }
    if latest.blocks.allSatisfy({ $0?.frobeniusNorms != nil }) { latest.prompts = group.prompts }
    return latest.blocks
  }

  /// The blocks of the group that was read last: all results of a run with one group read its files.
  private final class LatestBlocks {
    var prompts: Range<Int>?
    var blocks: [KeptBlock?] = []
  }

  /// Passes the groups that have prompts among the results, each with its prompts that have not failed, as positions in the
  /// group and among the results.
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

  /// A unit that was known a moment ago, or an error if it is gone.
  private func unit<Unit>(_ found: Unit?, _ layer: Int) throws -> Unit {
    guard let found else {
      throw RunError.lostUnit(
        path: manifest.settings.output ?? "the run",
        unit: layer == 0 ? "the hidden states of some prompts" : "what was found at block \(layer)")
    }
    return found
  }

  /// Writes `p0.A` (L, L, K, K): A(i|j) = Uⱼᵀ Jᵢ Vⱼ of kind depth at the largest rank; with several tokens `p0.t3.A`, and for
  /// kinds that compare tokens `p0.l1.A` (n, n, K, K). In runs of the crossed form alone it is B(i|j), as `p0.B`. Prompts with
  /// more than 64 MB are left out; false if nothing was written. Precondition: the run is complete.
  func writeCouplings(to path: String) throws -> Bool {
    var entries: [SafetensorsWriter.Entry] = []
    let rank = manifest.settings.ranks.max() ?? 1
    try forEachTable { name, _, table in
      entries.append(.init(name: name, shape: [table.side, table.side, rank, rank]))
    }
    guard !entries.isEmpty else { return false }
    let writer = try SafetensorsWriter(path, entries: entries)
    try forEachTable { _, tables, table in
      try tables.forEachRow(of: table) { try writer.append($0.map { Float($0) }) }
    }
    try writer.finish()
    return true
  }

  private func forEachTable(
    _ body: (_ name: String, CouplingTables, CouplingTables.Table) throws -> Void
  ) throws {
    let rank = manifest.settings.ranks.max() ?? 1
    try forEachGroup { group, prompts in
      let blocks = try blocks(of: group)
      for (p, place) in prompts {
        let all = CouplingTables(
          manifest, manifest.prompts[group.prompts.lowerBound + p].selections,
          jacobians: group.jacobians(ofPrompt: p), blocks: blocks)
        let numbers = all.tables.reduce(0) { $0 + $1.side * $1.side * rank * rank }
        guard numbers <= Self.mostCouplings else { continue }
        for table in all.tables {
          var name = "p\(place)."
          if let layer = table.place.layer {
            name += "l\(layer)."
          } else if manifest.settings.variesTokens {
            name += "t\(table.place.toToken ?? 0)."
          }
          try body(name + (manifest.settings.form == .crossed ? "B" : "A"), all, table)
        }
      }
    }
  }

  /// Writes `p0.x0` … `p0.xL` (tokens, width). Precondition: the run is complete and has kept them.
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
        for l in 0..<states.layers[p] {
          try body("p\(place).x\(l)", try unit(states.read(p, l), 0))
        }
      }
    }
  }
}
