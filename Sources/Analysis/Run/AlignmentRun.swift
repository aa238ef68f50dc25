import Files
import Weights
import Alignment
import Checkpoint
import Lanczos
import LinearAlgebra
import Model
import Tokenization

/// A whole run: a model and prompts in, singular triplets, coupling and trajectories out.
///
/// Prompts go in groups, each twice through the blocks. First with the hidden states: at every block the Jacobians are
/// linearized where the prompts stand and solved. Then backwards, applying every Jacobian to the bases of those it is
/// compared with. Groups depend on the prompts and their tokens alone.
/// Aubry et al., arXiv 2407.07810.
public struct AlignmentRun {
  /// What is run.
  public let settings: RunSettings
  /// What was decided where the model's folder left a choice, and what was made of prompts that may have been meant otherwise:
  /// one line each, for the user to read.
  public var notes: [String] { loaded.notes }
  /// What it computes with.
  package var engine: Engine { loaded.engine }
  private let loaded: LoadedModel
  /// Those of `loaded` that are run: of a shard, its part.
  private let prompts: [LoadedModel.Prompt]
  /// Of a shard, the list `prompts` is a part of.
  private let promptList: PromptList?
  private let resolved: ResolvedSettings
  private let groups: [PromptGroup]

  /// Opens the model, tokenizes the prompts and checks every option against both, before any work is done.
  ///
  /// Throws `FileError`, `ModelError`, `RunError`.
  public init(_ requested: RunSettings, prompts inputs: [PromptInput]) throws {
    let loaded = try LoadedModel(requested.common, prompts: inputs)
    self.loaded = loaded
    let model = loaded.model
    var settings = requested
    if let share = settings.rankShare {
      let rank: Int
      do {
        rank = try CouplingRank.share(share, width: model.description.width)
      } catch {
        throw RunError.badSetting(.rankShare, value: "\(share)", reason: "\(error)")
      }
      settings.ranks = [rank]
      settings.top = max(settings.top, rank)
    }
    self.settings = settings
    let resolved = try ResolvedSettings(
      settings, model.description, promptLengths: loaded.lengths, labels: loaded.labels)
    if let shard = settings.shard {
      let range = shard.range(of: loaded.prompts.count)
      guard !range.isEmpty else {
        throw RunError.badSetting(
          .shard, value: "\(shard.index)/\(shard.count)",
          reason:
            "has no prompt, as there are \(loaded.prompts.count); divide them into fewer parts"
        )
      }
      promptList = PromptList(loaded.prompts.map { PromptHeader($0.given, $0.input, []) })
      prompts = Array(loaded.prompts[range])
      self.resolved = resolved.restricted(to: range)
    } else {
      promptList = nil
      prompts = loaded.prompts
      self.resolved = resolved
    }
    groups = PromptGroup.groups(self.resolved.selections)
  }

  /// What decides the run's numbers, for `RunFolder`. Reads the weights once. Throws `FileError`.
  public func manifest() throws -> RunManifest {
    RunManifest(
      krylens: krylensVersion, model: try loaded.record(),
      settings: settings, layers: resolved.layers,
      prompts: zip(prompts, resolved.selections).map { prompt, selections in
        var header = PromptHeader(prompt.given, prompt.input, selections)
        header.tokens = loaded.texts(of: header.tokenIds)
        return header
      },
      promptList: promptList, computedWith: [ProcessorRecord(engine)])
  }

  /// What the checkpoints of one training have in common with this run.
  public var training: TrainingIdentity {
    TrainingIdentity(loaded.model.description, prompts.map { PromptHeader($0.given, $0.input, []) })
  }

  /// What the run will cost: its largest group of prompts, and what is written of all. Passes the first two blocks and times
  /// a few products.
  public func predicted() throws -> CostEstimate {
    defer { returnFreedMemory() }
    let largest = groups.max { work($0) < work($1) }!
    var resolved = try engine.use { try predicted(loaded.model, largest) }
    resolved.groups = groups.count
    resolved.relativeWork = groups.reduce(0) { $0 + Double(work($1)) / Double(work(largest)) }
    return resolved
  }

  /// Numbers of a group's triplets and couplings, and of the states that are kept for pictures.
  private func work(_ group: PromptGroup) -> Int {
    let d = loaded.model.description
    let k = resolved.ranks.max() ?? 1
    let tokens = group.prompts.reduce(0) { $0 + d.tokenCount(of: prompts[$1].input) }
    let perJacobian =
      resolved.layers.count * resolved.top * 2 * d.width + resolved.mostBases * resolved.forms.count
      * k * k
    return group.jacobians.count * perJacobian + tokens * d.width * (d.layers + 8)
  }

  private func predicted(_ model: some Transformer, _ group: PromptGroup) throws -> CostEstimate {
    try CostEstimate(
      model, group.prompts.map { prompts[$0].input }, group, resolved: resolved,
      saveHiddenStates: settings.saveHiddenStates,
      results: ResultCost(
        resolved, width: model.description.width, layers: model.description.layers,
        tokens: prompts.map { model.description.tokenCount(of: $0.input) },
        saveHiddenStates: settings.saveHiddenStates))
  }

  /// Runs it, in memory or in a folder, where it goes on from what is finished there.
  ///
  /// A solve that did not converge is a result, and so is a prompt that failed: its record says why. Throws
  /// `RunError.allFailed` if there is no other, what a model that changes under the run throws, `RunError.interrupted`, and
  /// `cannotRead`, `cannotWrite`, `lostUnit` of what is kept.
  public func run(
    in folder: RunFolder? = nil, progress: (any RunProgress)? = nil, meter: MemoryMeter
  ) throws -> RunResult {
    let start = monotonicSeconds()
    let base: any RunJournal = folder?.journal ?? MemoryJournal()
    let journal = GuardedJournal(base) { try loaded.model.source.checkIntact() }
    var seconds = RunRecord.Seconds(total: 0, load: loaded.seconds, solve: 0, coupling: 0)
    let work = try work(in: folder)
    var count = progressCount(work.groups)
    for group in work.groups {
      try engine.use {
        try run(loaded.model, group, work, journal, &seconds) { phase, units, isNew in
          progress?.update(count.add(units, to: phase, computed: isNew))
          if progress?.isCancelled == true {
            throw RunError.interrupted(resume: folder.flatMap { $0.keepsWork ? $0.path : nil })
          }
        }
      }
    }
    try loaded.model.source.checkIntact()
    seconds.total = loaded.seconds + monotonicSeconds() - start
    let manifest = try folder?.manifest ?? manifest()
    let result = try RunAssembly(
      manifest: manifest, journal: journal,
      asked: folder?.asked ?? Array(manifest.prompts.indices)
    ).result(seconds: seconds, meter: meter)
    let failures = try result.failures
    if failures.count == result.count {
      folder?.discard()
      throw RunError.allFailed(failures)
    }
    return result
  }

  /// What is run through the blocks: all groups that hold a prompt which is asked for.
  private struct Work {
    let resolved: ResolvedSettings
    let inputs: [ModelInput]
    let groups: [PromptGroup]
  }

  /// In a folder that was begun with more prompts, or in another order, its groups stay as they are, since a group's numbers depend on its
  /// members in their last bits.
  private func work(in folder: RunFolder?) throws -> Work {
    guard let folder, !folder.isOfTheseAlone else {
      return Work(resolved: resolved, inputs: prompts.map(\.input), groups: groups)
    }
    let reader = loaded.reader
    let all = folder.manifest.prompts
    let asked = Set(folder.asked)
    return Work(
      resolved: resolved.with(selections: all.map(\.selections)),
      inputs: try all.enumerated().map {
        try reader.read(PromptInput($1), PromptLabel(number: $0 + 1, $1))
      },
      groups: folder.manifest.groups.filter { $0.prompts.contains(where: asked.contains) })
  }

  private func run(
    _ model: some Transformer, _ group: PromptGroup, _ work: Work, _ journal: any RunJournal,
    _ seconds: inout RunRecord.Seconds,
    _ step: (_ phase: ProgressCount.Phase, _ units: Int, _ isNew: Bool) throws -> Void
  ) throws {
    let start = monotonicSeconds()
    let units = group.jacobians.count
    let forward = try SolvePass(
      model, group.prompts.map { work.inputs[$0] }, group, resolved: work.resolved,
      journal: journal,
      saveHiddenStates: settings.saveHiddenStates, decode: { loaded.tokenizer?.decode([$0]) }
    ) { try step(.solving, units, $1) }
    // What the solver has left in pieces is not on top of what the coupling takes, nor either on top of the results.
    returnFreedMemory()
    let middle = monotonicSeconds()
    try CouplingPass.run(model, forward, group, resolved: work.resolved, journal: journal) {
      try step(.coupling, units, $1)
    }
    seconds.solve += middle - start
    returnFreedMemory()
    seconds.coupling += monotonicSeconds() - middle
  }

  private func progressCount(_ groups: [PromptGroup]) -> ProgressCount {
    let jacobians = groups.reduce(0) { $0 + $1.jacobians.count }
    let cost = SolverCost(
      resolved.solver, width: loaded.model.description.width, count: resolved.top,
      batch: groups[0].batches[0].count, certify: resolved.certify)
    return ProgressCount(
      solving: (jacobians * loaded.model.description.layers, cost.passes * cost.vectors),
      coupling: (
        jacobians * resolved.layers.count,
        resolved.forms.count * resolved.mostBases * (resolved.ranks.max() ?? 1)
      ))
  }
}
