import Autodiff
import Files
import Weights
import Alignment
import Checkpoint
import Lanczos
import LinearAlgebra
import Model
import Processes
import Tokenization

/// A whole run: takes a model and prompts, and finds singular triplets, coupling and trajectories.
///
/// Prompts go through the blocks in groups, each group twice. The first pass follows the hidden states: at each block the
/// Jacobians are linearized at the prompts' states and solved. The second goes backwards and applies every Jacobian to the
/// bases of those it is compared with. Groups depend only on the prompts and their tokens.
/// Aubry et al., arXiv 2407.07810.
public struct AlignmentRun {
  /// The settings of the run.
  public let settings: RunSettings
  /// Notes for the user, one line each: choices made among the model's files, and prompts that may have been meant differently
  /// from how they were read.
  public var notes: [String] { loaded.notes }
  /// The engine that the run computes with.
  package var engine: Engine { loaded.engine }
  private let loaded: LoadedModel
  /// The peak of anonymous memory while the model and its vocabulary were read.
  private let openingBytes: Int
  /// The prompts of `loaded` that are run; for a shard, its part.
  private let prompts: [LoadedModel.Prompt]
  /// For a shard, the list of which `prompts` is a part.
  private let promptList: PromptList?
  private var resolved: ResolvedSettings
  private let groups: [PromptGroup]

  /// Opens the model, tokenizes the prompts and checks every option against both, before any work is done.
  ///
  /// Throws `FileError`, `ModelError`, `RunError`.
  public init(_ requested: RunSettings, prompts inputs: [PromptInput]) throws {
    try self.init(requested, prompts: inputs, team: SingleProcess())
  }

  /// The run as one member of a team that holds every Jacobian together; all members make the same calls.
  package init(
    _ requested: RunSettings, prompts inputs: [PromptInput], team: any Communicator
  ) throws {
    let meter = MemoryMeter()
    let loaded = try LoadedModel(requested.common, prompts: inputs, team: team)
    openingBytes = meter.peakPrivateBytes
    try requested.solver.check(for: loaded.model.team)
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
      settings, model.description, promptLengths: loaded.lengths, labels: loaded.labels,
      sharesVectors: model.team != nil)
    if let shard = settings.shard {
      let range = shard.range(of: loaded.prompts.count)
      guard !range.isEmpty else {
        throw RunError.badSetting(
          .shard, value: "\(shard.index)/\(shard.count)",
          reason:
            "has no prompt, since there are only \(loaded.prompts.count); divide them into fewer parts"
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
    self.resolved.blockSize =
      settings.blockSize
      ?? (resolved.solver == .block && resolved.site == .block
        ? loaded.blockSize(for: resolved.top, precision: resolved.precision) : nil)
  }

  /// Everything that determines the run's numbers, for `RunFolder`. Reads the weights once. Throws `FileError`.
  public func manifest(progress: (any RunProgress)? = nil) throws -> RunManifest {
    RunManifest(
      krylens: krylensVersion, model: try loaded.record(progress: progress),
      settings: settings, layers: resolved.layers,
      prompts: zip(prompts, resolved.selections).map { prompt, selections in
        var header = PromptHeader(prompt.given, prompt.input, selections)
        header.tokens = loaded.texts(of: header.tokenIds)
        return header
      },
      promptList: promptList, computedWith: [ProcessorRecord(engine)],
      blockSize: resolved.blockSize)
  }

  /// What this run must have in common with those of other checkpoints of the same training run.
  public var training: TrainingIdentity {
    TrainingIdentity(loaded.model.description, prompts.map { PromptHeader($0.given, $0.input, []) })
  }

  /// The predicted cost of the run, on one process or on several: of its largest group of prompts, and of writing all results.
  /// Evaluates the first two blocks and times a few products.
  ///
  /// Throws `ModelError.notDivisible`, and what evaluating the blocks throws.
  public func predicted(on layout: ProcessLayout = ProcessLayout()) throws -> CostEstimate {
    var resolved = resolved
    // A team that holds blocks together does not take the size that is best for a single process.
    if layout.slices > 1 { resolved.blockSize = settings.blockSize }
    return try predicted(resolved, on: layout)
  }

  /// The predicted cost of a run in a folder, which may have been started with another block size.
  package func predicted(
    on layout: ProcessLayout, in folder: RunFolder
  ) throws -> CostEstimate { try predicted(folder.settings(resolved), on: layout) }

  private func predicted(
    _ resolved: ResolvedSettings, on layout: ProcessLayout
  ) throws -> CostEstimate {
    defer { returnFreedMemory() }
    let largest = groups.max { work($0) < work($1) }!
    var cost = try engine.use { try predicted(loaded.model, largest, resolved, layout) }
    cost.groups = groups.count
    cost.relativeWork = groups.reduce(0) { $0 + Double(work($1)) / Double(work(largest)) }
    return cost
  }

  /// The amount of numbers in a group's triplets and couplings, and in the states kept for pictures.
  private func work(_ group: PromptGroup) -> Int {
    let d = loaded.model.description
    let k = resolved.ranks.max() ?? 1
    let tokens = group.prompts.reduce(0) { $0 + d.tokenCount(of: prompts[$1].input) }
    let perJacobian =
      resolved.layers.count * resolved.top * 2 * d.width + resolved.mostBases * resolved.forms.count
      * k * k
    return group.jacobians.count * perJacobian + tokens * d.width * (d.layers + 8)
  }

  private func predicted(
    _ model: some Transformer, _ group: PromptGroup, _ resolved: ResolvedSettings,
    _ layout: ProcessLayout
  ) throws -> CostEstimate {
    try CostEstimate(
      model, group.prompts.map { prompts[$0].input }, group, resolved: resolved,
      saveHiddenStates: settings.saveHiddenStates,
      results: ResultCost(
        resolved, width: model.description.width, layers: model.description.layers,
        tokens: prompts.map { model.description.tokenCount(of: $0.input) },
        saveHiddenStates: settings.saveHiddenStates), opening: openingBytes, on: layout)
  }

  /// Runs in memory, or in a folder, resuming from what is finished there.
  ///
  /// A solve that did not converge is a result, and so is a prompt that failed: its record says why. Throws
  /// `RunError.allFailed` if every prompt failed, what a model that changes during the run throws, `RunError.interrupted`,
  /// and `cannotRead`, `cannotWrite` and `lostUnit` for what is kept.
  public func run(
    in folder: RunFolder? = nil, progress: (any RunProgress)? = nil, meter: MemoryMeter
  ) throws -> RunResult {
    // A single team always has the results.
    try run(in: folder, among: AloneSharing(), progress: progress, meter: meter)!
  }

  /// Runs in one of several teams of processes, each of which makes this call with the same folder.
  ///
  /// Returns the results in the leader of team 0, after all teams have finished, and nil in all other processes. Also throws `WorkStopped`, and
  /// `RunError.notVisible` for files of other teams that do not appear. Precondition: several teams have a folder.
  package func run(
    in folder: RunFolder?, among sharing: any WorkSharing, progress: (any RunProgress)?,
    meter: MemoryMeter
  ) throws -> RunResult? {
    precondition(folder != nil || !sharing.isShared, "several teams need a folder")
    let start = monotonicSeconds()
    let team = loaded.model.team
    let sharing = team.map { TeamSharing(sharing, among: $0) } ?? sharing
    let base: any RunJournal = folder?.journal ?? MemoryJournal()
    let journal = GuardedJournal(team.map { TeamJournal(base, $0) } ?? base) {
      try loaded.model.source.checkIntact()
    }
    var part = TeamPart()
    let work = try work(in: folder)
    let steps = RunSteps(progressCount(work), sharing, team, progress) {
      folder.flatMap { $0.keepsWork ? $0.path : nil }
    }
    let reader = BlockReader(loaded.model, within: settings.maxMemory) { try steps.report($0) }
    var places = Array(work.groups.indices)
    while let place = try sharing.enter(places) {
      let group = work.groups[place]
      let share = GroupShare(
        sharing, group, folder: folder?.path ?? "", folder?.visibility ?? Visibility(),
        pause: steps.pause)
      try engine.use { try run(loaded.model, group, share, work, journal, reader, steps, &part) }
      // What the group had in memory has been freed and would add to the peak of the next group, or of the results.
      returnFreedMemory()
      places.removeAll { $0 == place }
      if sharing.isShared {
        let notes = try sharing.notes(of: places.map { GroupShare.allTaken(work.groups[$0]) })
        places = zip(places, notes).compactMap { $1 == nil ? $0 : nil }
      }
    }
    part.readingSeconds = reader.secondsWaited
    try loaded.model.source.checkIntact()
    if let folder, sharing.isShared {
      meter.sample()
      part.written = folder.journal.written
      guard try part.join(sharing, folder, journal, pause: steps.pause) else { return nil }
    }
    guard team?.isLeader ?? true else { return nil }
    let seconds = RunRecord.Seconds(
      total: loaded.seconds + monotonicSeconds() - start, load: loaded.seconds,
      solve: part.solveSeconds, coupling: part.couplingSeconds, reading: part.readingSeconds,
      teams: sharing.isShared ? sharing.teams : nil)
    let manifest = try folder?.manifest ?? manifest()
    let result = try RunAssembly(
      manifest: manifest, journal: base,
      asked: folder?.asked ?? Array(manifest.prompts.indices)
    ).result(seconds: seconds, meter: meter)
    let failures = try result.failures
    if failures.count == result.count {
      folder?.discard()
      throw RunError.allFailed(failures)
    }
    return result
  }

  /// What goes through the blocks: all groups that hold a requested prompt.
  private struct Work {
    let resolved: ResolvedSettings
    let inputs: [ModelInput]
    let groups: [PromptGroup]
  }

  /// In a folder started with more prompts or in another order, the groups stay as they are, since the last bits of a group's
  /// numbers depend on its members.
  private func work(in folder: RunFolder?) throws -> Work {
    guard let folder else {
      return Work(resolved: resolved, inputs: prompts.map(\.input), groups: groups)
    }
    let resolved = folder.settings(resolved)
    guard !folder.isOfTheseAlone else {
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
    _ model: some Transformer, _ group: PromptGroup, _ share: GroupShare, _ work: Work,
    _ journal: any RunJournal, _ reader: BlockReader, _ steps: RunSteps, _ part: inout TeamPart
  ) throws {
    let start = monotonicSeconds()
    let units = group.jacobians.count
    let inputs = group.prompts.map { work.inputs[$0] }
    var forward: SolvePass
    repeat {
      forward = try SolvePass(
        model, inputs, group, share, resolved: work.resolved,
        journal: journal, reader: reader, saveHiddenStates: settings.saveHiddenStates,
        decode: { loaded.tokenizer?.decode([$0]) }
      ) { isOwn, isNew in
        try steps.add(isOwn && share.round == 0 ? units : 0, to: .solving, computed: isNew)
      }
      if !forward.isSettled { share.beginAgain() }
    } while !forward.isSettled
    // Return freed memory, so that the solver's fragments do not add to the coupling's peak.
    returnFreedMemory()
    let middle = monotonicSeconds()
    let survivors = try CouplingPass.run(
      model, forward, group, share, resolved: work.resolved, journal: journal, reader: reader
    ) { try steps.add(units, to: .coupling, computed: $0) }
    part.add(survivors, of: group)
    part.solveSeconds += middle - start
    part.couplingSeconds += monotonicSeconds() - middle
  }

  private func progressCount(_ work: Work) -> ProgressCount {
    let (resolved, groups) = (work.resolved, work.groups)
    let jacobians = groups.reduce(0) { $0 + $1.jacobians.count }
    let cost = SolverCost(
      resolved.solver, width: loaded.model.description.width, count: resolved.top,
      batch: groups[0].batches[0].count, certify: resolved.certify,
      blockSize: resolved.blockSize)
    return ProgressCount(
      solving: (jacobians * loaded.model.description.layers, cost.passes * cost.vectors),
      coupling: (
        jacobians * resolved.layers.count,
        resolved.forms.count * resolved.mostBases * (resolved.ranks.max() ?? 1)
      ))
  }
}
