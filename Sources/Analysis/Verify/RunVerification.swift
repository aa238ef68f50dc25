import Alignment
import Checkpoint
import Files
import LinearAlgebra
import Model

/// A finished run of `align`, held against its model: everything is recomputed in double precision, from the recorded tokens
/// on, and no number of the run is believed.
///
/// One prompt after another goes through the blocks. At every block its Jacobians are linearized; stored triplets, derivative
/// and, where J can be built, true singular values are checked there, then a sample of couplings.
package struct RunVerification {
  /// How much is checked.
  package struct Extent: Sendable {
    /// Prompts, from 1; nil for all.
    package var prompts: [Int]?
    /// Blocks, from 1; nil for all.
    package var layers: [Int]?
    /// Bases that each Jacobian's couplings are checked in.
    package var sample = 4
    /// The widest Jacobian that is built.
    package var denseWidth = 1024

    /// All prompts and blocks.
    package init() {}
  }

  let folder: String
  let extent: Extent
  let file: RecordFile
  let stored: StoredTriplets
  let loaded: LoadedModel
  let resolved: ResolvedSettings
  /// Those that are checked, as positions in the record; in the order of the loaded ones.
  let prompts: [Int]
  /// Blocks that are checked, from 1.
  let layers: [Int]
  /// What is left out from the beginning.
  let begun: VerificationTally

  /// Opens a run and its model, where the run had it or elsewhere, and checks that they belong together.
  ///
  /// Throws `RunError.badRun` for what is not a finished run, `unfit` for another command's run and another model,
  /// `badSetting`, and what opening the model throws.
  package init(
    _ folder: String, model: String? = nil, threads: Int, _ extent: Extent = Extent()
  ) throws {
    (self.folder, self.extent) = (folder, extent)
    let run = try Self.finishedRun(folder)
    file = try RecordFile(folder)
    stored = try StoredTriplets(folder)
    prompts = try Self.prompts(of: run, extent, folder)
    loaded = try Self.model(of: run, prompts, folder, elsewhere: model, threads: threads)
    let description = loaded.model.description
    resolved = try ResolvedSettings(
      run.settings, description, promptLengths: loaded.lengths, labels: loaded.labels)
    layers = resolved.layers.filter { extent.layers?.contains($0) ?? true }
    guard !layers.isEmpty else {
      throw RunError.badSetting(
        .layers, reason: "names no block that the run has; leave it out for all")
    }
    var leftOut = run.failures.map { "prompt \($0.number): it failed, and has no results" }
    if description.width > extent.denseWidth {
      leftOut.append(
        "the true singular values: the width, \(description.width), is above \(extent.denseWidth), "
          + "up to which Jacobians are built")
    }
    begun = VerificationTally(leavingOut: leftOut)
  }

  /// The record of a finished run of `align`, without its numbers.
  private static func finishedRun(_ folder: String) throws(RunError) -> RunRecord {
    let kind = RunKind(folder)
    guard kind == .align else {
      throw .unfit(
        path: folder,
        reason:
          "is of krylens \(kind == .lens ? "lens fit" : kind.rawValue), and krylens verify checks runs of "
          + "krylens align")
    }
    let run = try StoredRun(folder, .identities).record
    guard run.complete else {
      throw .badRun(
        path: folder,
        reason: "it is not finished: repeat its command, which goes on where it stopped")
    }
    return run
  }

  /// The prompts that are asked for and did not fail.
  private static func prompts(
    of run: RunRecord, _ extent: Extent, _ folder: String
  ) throws(RunError) -> [Int] {
    let all = run.prompts.indices
    if let missing = extent.prompts?.first(where: { !all.contains($0 - 1) }) {
      throw .badSetting(
        .prompts, value: "\(missing)", reason: "the run has the prompts 1 to \(all.count)")
    }
    let wanted = extent.prompts?.map { $0 - 1 } ?? Array(all)
    let prompts = wanted.filter { run.prompts[$0].failed == nil }
    guard !prompts.isEmpty else {
      throw .badRun(path: folder, reason: "every prompt to be checked failed in it")
    }
    return prompts
  }

  /// The model, opened with the prompts as the run read them.
  private static func model(
    of run: RunRecord, _ prompts: [Int], _ folder: String, elsewhere: String?, threads: Int
  ) throws -> LoadedModel {
    var settings = run.settings.common
    settings.threads = threads
    if let elsewhere { settings.model = elsewhere }
    try requireSameWeights(settings.model, as: run.model, folder, isNamed: elsewhere != nil)
    // Tokens as they were read, not the text they were made of.
    settings.encoderPrompt = nil
    settings.encoderTokenIds = run.prompts[prompts[0]].encoderTokenIds
    let headers = prompts.map { PromptHeader(run.prompts[$0]) }
    let loaded = try LoadedModel(settings, prompts: headers.map { PromptInput($0) })
    for (header, prompt) in zip(headers, loaded.prompts)
    where PromptHeader(prompt.given, prompt.input, []).read != header.read {
      throw RunError.unfit(
        path: folder,
        reason: "read another image than \(header.image ?? "the file") is now; put that one there")
    }
    return loaded
  }

  private static func requireSameWeights(
    _ model: String, as recorded: ModelRecord, _ folder: String, isNamed: Bool
  ) throws {
    do {
      guard try CheckpointDirectory(opening: model).fingerprint() != recorded.fingerprint else {
        return
      }
    } catch {
      if isNamed { throw error }
      let reason = SettingMessage(
        recorded: "is of a model that cannot be opened where it was (\(error)); ")
      throw RunError.unfit(path: folder, reason: reason + "name it by \(.modelOfRun)")
    }
    throw RunError.unfit(
      path: folder,
      reason: "is of other weights than \(model) has now; name its own by \(.modelOfRun)")
  }
}
