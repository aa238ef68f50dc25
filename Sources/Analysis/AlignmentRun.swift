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
  /// What was decided where the model's folder left a choice, for people.
  public var notes: [String] { directory.notes }
  private let directory: CheckpointDirectory
  private let model: any Transformer
  private let tokenizer: Tokenizer?
  private let prompts: [(given: PromptInput, input: ModelInput)]
  private let plan: SolvePlan
  private let groups: [PromptGroup]
  private let loadSeconds: Double

  /// Opens the model, tokenizes the prompts and checks every option against both, before any work is done.
  ///
  /// Throws `CheckpointError`, `ModelError`, `TokenizationError`, `RunError`.
  public init(_ requested: RunSettings, prompts inputs: [PromptInput]) throws {
    let start = monotonicSeconds()
    Threads.use(requested.threads)
    directory = try CheckpointDirectory(opening: requested.model)
    let model = try loadTransformer(
      directory, randomSeed: requested.randomInit ? requested.seed : nil)
    self.model = model
    var settings = requested
    if let share = settings.rankShare {
      let rank: Int
      do {
        rank = try CouplingRank.share(share, width: model.description.width)
      } catch {
        throw RunError.badOption(option: "--rank-share", value: "\(share)", reason: "\(error)")
      }
      settings.ranks = [rank]
      settings.top = max(settings.top, rank)
    }
    self.settings = settings
    try PromptReader.checkKinds(of: inputs, settings, model.description)
    let needsText =
      settings.encoderPrompt != nil
      || inputs.contains { if case .text = $0 { true } else { false } }
    let tokenizer = try Self.tokenizer(of: directory, isNeeded: needsText)
    self.tokenizer = tokenizer
    guard !inputs.isEmpty else { throw RunError.emptyPrompt(index: 0) }
    let reader = PromptReader(settings, model.description, tokenizer, directory)
    var prompts = try inputs.enumerated().map { ($1, try reader.read($1, index: $0)) }
    let plan = try SolvePlan(
      settings, model.description,
      promptLengths: prompts.map { model.description.tokenCount(of: $0.1) })
    if let shard = settings.shard {
      let range = shard.range(of: prompts.count)
      guard !range.isEmpty else {
        throw RunError.badOption(
          option: "--shard", value: "\(shard.index)/\(shard.count)",
          reason: "has no prompt, as there are \(prompts.count); divide them into fewer parts")
      }
      prompts = Array(prompts[range])
      self.plan = plan.restricted(to: range)
    } else {
      self.plan = plan
    }
    self.prompts = prompts
    groups = PromptGroup.groups(self.plan.selections)
    loadSeconds = monotonicSeconds() - start
  }

  /// The vocabulary: needed for text, and welcome for showing the next token.
  private static func tokenizer(
    of directory: CheckpointDirectory, isNeeded: Bool
  ) throws -> Tokenizer? {
    do {
      if case .gguf(let file) = directory.kind { return try Tokenizer(gguf: file) }
      if let path = try directory.tokenizerPath { return try Tokenizer(tokenizerJSON: path) }
    } catch  where !isNeeded {
      return nil
    }
    if isNeeded { throw RunError.noTokenizer(path: directory.path) }
    return nil
  }

  /// What decides the run's numbers, for `RunFolder`. Reads the weights once. Throws `CheckpointError`.
  public func manifest() throws -> RunManifest {
    let d = model.description
    return RunManifest(
      krylens: krylensVersion,
      model: ModelRecord(
        name: settings.name, source: directory.request, family: d.family, modelType: d.modelType,
        layers: d.layers, width: d.width, parameters: d.parameters, storedTypes: d.storedTypes,
        fingerprint: try directory.fingerprint(), trainingStep: settings.step),
      settings: settings, layers: plan.layers,
      prompts: zip(prompts, plan.selections).map { PromptHeader($0.given, $0.input, $1) })
  }

  /// What the largest group of prompts will cost. Passes the first two blocks and times a few products.
  public func predicted() throws -> RunPlan {
    let work = { (group: PromptGroup) in
      group.prompts.reduce(group.problems.count) {
        $0 + model.description.tokenCount(of: prompts[$1].input)
      }
    }
    return try predicted(model, groups.max { work($0) < work($1) }!)
  }

  private func predicted(_ model: some Transformer, _ group: PromptGroup) throws -> RunPlan {
    try RunPlan(
      model, group.prompts.map { prompts[$0].input }, group, plan: plan,
      saveHiddenStates: settings.saveHiddenStates)
  }

  /// Runs it, in memory or in a folder, where it goes on from what is finished there.
  ///
  /// Throws what a damaged file or a stopped run throws; a solve that did not converge is a result.
  public func run(
    in folder: RunFolder? = nil, progress: (any RunProgress)? = nil, meter: MemoryMeter
  ) throws -> RunResult {
    let start = monotonicSeconds()
    let journal: any RunJournal = folder?.journal ?? MemoryJournal()
    var seconds = RunRecord.Seconds(total: 0, load: loadSeconds, solve: 0, coupling: 0)
    var count = progressCount
    for group in groups {
      try run(model, group, journal, &seconds) { phase, units, isNew in
        progress?.update(count.add(units, to: phase, computed: isNew))
        if progress?.isCancelled == true {
          throw RunError.interrupted(resume: folder.flatMap { $0.keepsWork ? $0.path : nil })
        }
      }
    }
    try model.source.checkIntact()
    seconds.total = loadSeconds + monotonicSeconds() - start
    meter.sample()
    return try RunAssembly(manifest: try folder?.manifest ?? manifest(), journal: journal).result(
      seconds: seconds, peakMemoryBytes: meter.peakResidentBytes,
      peakPrivateBytes: meter.peakPrivateBytes)
  }

  private func run(
    _ model: some Transformer, _ group: PromptGroup, _ journal: any RunJournal,
    _ seconds: inout RunRecord.Seconds,
    _ step: (_ phase: ProgressCount.Phase, _ units: Int, _ isNew: Bool) throws -> Void
  ) throws {
    let start = monotonicSeconds()
    let units = group.problems.count
    let forward = try SolvePass(
      model, group.prompts.map { prompts[$0].input }, group, plan: plan, journal: journal,
      saveHiddenStates: settings.saveHiddenStates, decode: { tokenizer?.decode([$0]) }
    ) { try step(.solving, units, $1) }
    let middle = monotonicSeconds()
    try CouplingPass.run(model, forward, group, plan: plan, journal: journal) {
      try step(.coupling, units, $1)
    }
    seconds.solve += middle - start
    seconds.coupling += monotonicSeconds() - middle
  }

  private var progressCount: ProgressCount {
    let problems = groups.reduce(0) { $0 + $1.problems.count }
    let cost = SolverCost(
      plan.solver, width: model.description.width, count: plan.top,
      problems: groups[0].batches[0].count)
    return ProgressCount(
      solving: (problems * model.description.layers, cost.passes * cost.vectors),
      coupling: (
        problems * plan.layers.count, 2 * plan.mostBases * (plan.ranks.max() ?? 1)
      ))
  }
}
