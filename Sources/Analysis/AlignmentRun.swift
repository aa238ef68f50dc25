import Alignment
import Checkpoint
import Lanczos
import LinearAlgebra
import Model
import Tokenization

/// A whole run: a model and prompts in, singular triplets, coupling and trajectories out.
///
/// Prompts go in groups of at most `groupSize`, each group twice through the blocks. First with the hidden states: at every
/// block the Jacobians are linearized where the prompts stand and solved. Then backwards, applying every Jacobian to the
/// bases of all others. Groups depend on the order of the prompts alone.
/// Aubry et al., arXiv 2407.07810.
public struct AlignmentRun {
  /// What is run.
  public let settings: RunSettings
  private let directory: CheckpointDirectory
  private let model: any Transformer
  private let tokenizer: Tokenizer?
  private let prompts: [(given: PromptInput, input: ModelInput)]
  private let plan: SolvePlan
  private let loadSeconds: Double

  /// Prompts that go through the blocks together.
  static let groupSize = 16

  /// Opens the model, tokenizes the prompts and checks every option against both, before any work is done.
  ///
  /// Throws `CheckpointError`, `ModelError`, `TokenizationError`, `RunError`.
  public init(_ requested: RunSettings, prompts inputs: [PromptInput]) throws {
    let start = monotonicSeconds()
    Threads.use(requested.threads)
    directory = try CheckpointDirectory(opening: requested.model)
    let model = try loadTransformer(directory)
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
    prompts = try inputs.enumerated().map { ($1, try reader.read($1, index: $0)) }
    plan = try SolvePlan(
      settings, model.description,
      promptLengths: prompts.map { model.description.tokenCount(of: $0.input) })
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

  /// What the largest group of prompts will cost. Passes the first two blocks and times a few products.
  public func predicted() throws -> RunPlan {
    let groups = stride(from: 0, to: prompts.count, by: Self.groupSize).map {
      $0..<min($0 + Self.groupSize, prompts.count)
    }
    let tokens = { (group: Range<Int>) in
      group.reduce(0) { $0 + model.description.tokenCount(of: prompts[$1].input) }
    }
    let largest = groups.max { tokens($0) < tokens($1) }!
    return try predicted(model, largest)
  }

  private func predicted(_ model: some Transformer, _ group: Range<Int>) throws -> RunPlan {
    try RunPlan(
      model, prompts: group.map { prompts[$0].input }, plan: plan,
      saveHiddenStates: settings.saveHiddenStates)
  }

  /// Runs it. Throws what a damaged file or a stopped run throws; a solve that did not converge is a result.
  public func run(progress: (any RunProgress)? = nil, meter: MemoryMeter) throws -> RunResult {
    let start = monotonicSeconds()
    var results: [PromptResult] = []
    var seconds = RunRecord.Seconds(total: 0, load: loadSeconds, solve: 0, coupling: 0)
    for first in stride(from: 0, to: prompts.count, by: Self.groupSize) {
      let group = Array(first..<min(first + Self.groupSize, prompts.count))
      let part = try run(model, group, progress)
      results += part.prompts
      seconds.solve += part.solveSeconds
      seconds.coupling += part.couplingSeconds
    }
    try directory.tensors.checkIntact()
    seconds.total = loadSeconds + monotonicSeconds() - start
    meter.sample()
    let d = model.description
    let record = RunRecord(
      krylens: krylensVersion,
      model: ModelRecord(
        name: settings.name, source: directory.request, family: d.family, modelType: d.modelType,
        layers: d.layers, width: d.width, parameters: d.parameters, storedTypes: d.storedTypes),
      settings: settings, prompts: results.map(\.record),
      statistics: StudyStatistics(results.map(\.record), diagonal: settings.diagonal),
      seconds: seconds,
      peakMemoryBytes: meter.peakResidentBytes, peakPrivateBytes: meter.peakPrivateBytes)
    return RunResult(record: record, prompts: results)
  }

  private func run(
    _ model: some Transformer, _ group: [Int], _ progress: (any RunProgress)?
  ) throws -> (prompts: [PromptResult], solveSeconds: Double, couplingSeconds: Double) {
    let start = monotonicSeconds()
    let total = prompts.count * (model.description.layers + plan.layers.count)
    let done = group[0] * (model.description.layers + plan.layers.count)
    let step = { (phase: String, blocks: Int) throws in
      progress?.update(phase, completed: done + group.count * blocks, total: total)
      if progress?.isCancelled == true { throw RunError.interrupted }
    }
    let forward = try SolvePass(
      model, prompts: group.map { prompts[$0].input }, selections: group.map { plan.tokens[$0] },
      plan: plan, saveHiddenStates: settings.saveHiddenStates
    ) { try step("solving", $0) }
    let middle = monotonicSeconds()
    let coupling = try CouplingPass(model, forward, plan: plan) {
      try step("coupling", model.description.layers + $0)
    }
    let results = group.enumerated().map { p, index in
      let (given, input) = prompts[index]
      return PromptResult(
        given: given, input: input, selection: plan.tokens[index], index: p, forward: forward,
        coupling: coupling, plan: plan, tokenizer: tokenizer)
    }
    return (results, middle - start, monotonicSeconds() - middle)
  }
}

/// What a run leaves: the record, and the arrays that go into files of their own.
public struct RunResult {
  /// For `result.json`.
  public let record: RunRecord
  /// One a prompt.
  public let prompts: [PromptResult]
}
