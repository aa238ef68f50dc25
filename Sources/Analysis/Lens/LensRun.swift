import Alignment
import Files
import LinearAlgebra
import Model
import Processes
import Weights

/// Averaged Jacobians ("Jacobian lens"): for every boundary l between blocks, J_l is the mean over all prompts and source
/// positions s of Σ_t ∂x_t^L / ∂x_s^l, the sum over all output positions, which under a causal mask are those from s on.
///
/// A change δ at all source positions at once reaches the sum of all outputs as Σ_s Σ_t ∂x_t/∂x_s δ, so one product per
/// prompt covers all positions; and K = [J_0 … J_{L−1}] is one operator, whose adjoint gives the rows of all layers at once.
/// The first pass samples the ranges, Y = K Kᵀ Ω, on some of the prompts, and W = orth(Y); the second applies Kᵀ to W and to
/// probes on all prompts, which gives W J_l and the error of the mean itself.
/// Gurnee et al., arXiv 2607.15495; Halko, Martinsson, Tropp, SIAM Review 53, 2011.
package struct LensRun {
  /// The settings of the fit.
  package let settings: LensSettings
  private let loaded: LoadedModel
  private let resolved: ResolvedLens
  /// The prompts of the list that are run; for a shard, its part.
  private let part: Range<Int>

  /// Opens the model, tokenizes the prompts and checks every option against both, before any work is done.
  ///
  /// Throws `FileError`, `ModelError`, `RunError`.
  package init(_ settings: LensSettings, prompts inputs: [PromptInput]) throws {
    let loaded = try LoadedModel(settings.common, prompts: inputs)
    resolved = try ResolvedLens(
      settings, loaded.model.description, lengths: loaded.lengths, labels: loaded.labels)
    (self.settings, self.loaded) = (settings, loaded)
    part = settings.shard?.range(of: inputs.count) ?? inputs.indices
    if let shard = settings.shard, part.isEmpty {
      throw RunError.badSetting(
        .shard, value: "\(shard.index)/\(shard.count)",
        reason: "has no prompt, since there are only \(inputs.count); divide them into fewer parts")
    }
  }

  /// Notes for the user, one line each, on choices made among the model's files and in reading prompts.
  package var notes: [String] { loaded.notes }

  /// Everything that determines the numbers. Reads the weights once. Throws `FileError`.
  package func manifest(progress: (any RunProgress)? = nil) throws -> LensManifest {
    let prompts = zip(loaded.prompts, resolved.positions).map { prompt, positions in
      let header = PromptHeader(prompt.given, prompt.input, [])
      return LensRecord.Prompt(
        text: header.text, image: header.image, imageHash: header.imageHash,
        tokenIds: header.tokenIds, encoderTokenIds: header.encoderTokenIds, positions: positions)
    }
    return LensManifest(
      krylens: krylensVersion, model: try loaded.record(progress: progress), settings: settings,
      prompts: Array(prompts[part]), promptList: PromptList(prompts),
      computedWith: [ProcessorRecord(loaded.engine)])
  }

  /// Fits in a folder, resuming from what is finished there, and writes the results; with several processes, each takes prompts
  /// that no other has, and the leader adds what they find and writes. Returns nil for the others.
  ///
  /// Throws `RunError.interrupted`, `badPrompt`, `cannotWrite`, `WorkStopped` if another process failed, and what a model that
  /// changes during the fit throws. Precondition: the folder is not complete.
  package func run(
    in folder: ResultFolder<LensManifest>, as processes: RunProcesses = .alone,
    progress: (any RunProgress)? = nil, meter: MemoryMeter
  ) throws -> LensRecord? {
    let start = monotonicSeconds()
    let pass = LensPass(loaded, resolved, settings, folder, processes, progress, part: part)
    if let limit = settings.maxMemory {
      try processes.together {
        try loaded.engine.use { try pass.requireMemory(within: limit) }
      }
    }
    guard let fit = try loaded.engine.use({ try pass.fit(try pass.sampleRanges()) }) else {
      return nil
    }
    try loaded.model.source.checkIntact()
    returnFreedMemory()
    meter.sample()
    var record = LensRecord(folder.manifest, fit.sums, pass.cost, isComplete: true)
    let files = try LensWriter(record, fit, pass.cost, rank: resolved.rank).write(in: folder)
    record.layers = files.layers
    record.seconds.load = loaded.seconds
    record.seconds.total = loaded.seconds + monotonicSeconds() - start
    record.peakMemoryBytes = meter.peakResidentBytes
    record.peakPrivateBytes = meter.peakPrivateBytes
    try folder.finish(files.names, result: try record.json())
    return record
  }
}
