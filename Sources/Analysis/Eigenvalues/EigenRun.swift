import Files
import Foundation
import Model
import Processes
import Weights

/// Finds the dominant eigenvalues of blocks, their departure from normality, and exponents along a token's path, prompt by
/// prompt.
package struct EigenRun {
  /// The settings of the run.
  package let settings: EigenSettings
  private let loaded: LoadedModel

  /// The folder type of such runs.
  package typealias Folder = ResultFolder<EigenManifest>

  /// Opens the model, tokenizes the prompts and checks every option against both, before any work is done.
  ///
  /// Throws `FileError`, `ModelError`, `RunError`.
  package init(_ settings: EigenSettings, prompts inputs: [PromptInput]) throws {
    self.settings = settings
    loaded = try LoadedModel(settings.common, prompts: inputs)
    try settings.check(
      loaded.model.description, lengths: loaded.lengths, labels: loaded.labels)
  }

  /// Notes for the user, one line each: choices made among the model's files, and prompts that may have been meant differently
  /// from how they were read.
  package var notes: [String] { loaded.notes }

  /// Throws `RunError.badSetting`, before any work, if the predicted memory exceeds the limit.
  private func requireWithinMemory() throws {
    guard let limit = settings.common.maxMemory,
      let longest = loaded.lengths.indices.max(by: { loaded.lengths[$0] < loaded.lengths[$1] })
    else { return }
    defer { returnFreedMemory() }
    let model = loaded.model
    let cost = try loaded.engine.use {
      try EigenCost(model, loaded.prompts[longest].input, settings)
    }
    guard cost.bytes > limit else { return }
    throw RunError.badSetting(
      .maxMemory, value: spokenBytes(limit),
      reason:
        "the run is predicted to need \(spokenBytes(cost.bytes)); allow more, lower \(.top), shorten the prompts, "
        + "or \(.solver) arpack instead of dense")
  }

  /// Everything that determines the run's numbers. Reads the weights once. Throws `FileError`.
  package func manifest(progress: (any RunProgress)? = nil) throws -> EigenManifest {
    EigenManifest(
      krylens: krylensVersion, model: try loaded.record(progress: progress), settings: settings,
      prompts: loaded.prompts.map { PromptEntry($0, in: loaded) },
      computedWith: [ProcessorRecord(loaded.engine)])
  }

  /// Runs in a folder, resuming from the prompts finished there, and writes the results; with several processes, each takes
  /// prompts that no other has, and the leader writes. Returns nil for the others.
  ///
  /// A solve that did not converge is a result, and so is a prompt that failed: its record says why. Throws
  /// `RunError.allFailed` if every prompt failed, what a model that changes during the run throws, `RunError.interrupted`,
  /// `WorkStopped` if another process failed, `cannotRead`, `cannotWrite` and `lostUnit`.
  package func run(
    in folder: Folder, as processes: RunProcesses = .alone, progress: (any RunProgress)? = nil,
    meter: MemoryMeter
  ) throws -> EigenRecord? {
    let start = monotonicSeconds()
    let model = loaded.model
    try processes.together { try requireWithinMemory() }
    let layers =
      settings.isSpan ? [] : settings.numeric.layers ?? Array(1...model.description.layers)
    let units = layers.count + (settings.isSpan ? 1 : 0) + (settings.numeric.exponents ? 1 : 0)
    let work = UnitWork(folder, processes, progress, total: loaded.prompts.count * units)
    let entries = folder.manifest.prompts
    let walk = EigenWalk(
      settings, layers: layers, isCancelled: { work.isCancelled }, report: work.report
    ) {
      try work.count(1, isNew: true, "solving")
      try work.check()
    }
    try loaded.engine.use {
      for p in entries.indices where try work.claim("p\(p)") {
        if try folder.units.eigenPrompt(p) != nil {
          try work.count(units, isNew: false, "solving")
        } else {
          let input = loaded.prompts[p].input
          let record = try walk.record(entries[p], input, number: p + 1, in: model)
          try model.source.checkIntact()
          try folder.units.keep(record, p)
          returnFreedMemory()
        }
        try work.finish("p\(p)")
      }
    }
    try work.leave()
    guard work.isLeader else { return nil }
    let prompts = try entries.indices.map { p in
      try work.finished("prompt \(p + 1)") { try folder.units.eigenPrompt(p) }
    }
    let failures = prompts.compactMap(\.entry.failed)
    guard failures.count < prompts.count else {
      folder.takeBack()
      throw RunError.allFailed(failures)
    }
    var record = EigenRecord(folder.manifest, prompts, isComplete: true)
    record.head.seconds = RecordSeconds(
      total: loaded.seconds + monotonicSeconds() - start, load: loaded.seconds,
      solve: monotonicSeconds() - start)
    record.head.measure(meter)
    try folder.write(Data(Self.table(record).utf8), aside: "eigenvalues.csv")
    try folder.finish(["eigenvalues.csv"], result: try recordJSON(record))
    return record
  }

  /// `eigenvalues.csv`: one row per eigenvalue; prompts are counted from 0.
  private static func table(_ record: EigenRecord) -> String {
    var text = "prompt,layer,from_layer,to_layer,index,real,imaginary,residual_norm\n"
    for (p, prompt) in record.prompts.enumerated() {
      for s in prompt.spectra {
        let head = "\(p),\(s.layer.map { "\($0)" } ?? ""),\(s.fromLayer),\(s.toLayer)"
        for (i, (λ, residual)) in zip(s.eigenvalues, s.residualNorms).enumerated() {
          text += "\(head),\(i + 1),\(λ[0]),\(λ[1]),\(residual)\n"
        }
      }
    }
    return text
  }
}
