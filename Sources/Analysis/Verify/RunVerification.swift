import Alignment
import Checkpoint
import Files
import LinearAlgebra
import Model

/// Checks a finished run of `align` against its model: everything is recomputed in double precision from the recorded tokens,
/// and no number of the run is trusted.
///
/// One prompt after another goes through the blocks. At each block its Jacobians are linearized, and the stored triplets, the
/// derivative and, if J can be formed, the true singular values are checked; then a sample of couplings.
package struct RunVerification {
  /// The extent of the checks.
  package struct Extent: Sendable {
    /// The prompts to check, from 1; nil for all.
    package var prompts: [Int]?
    /// The blocks to check, from 1; nil for all.
    package var layers: [Int]?
    /// The number of bases in which each Jacobian's couplings are checked.
    package var sample = 4
    /// The largest width of a Jacobian that is formed.
    package var denseWidth = 1024

    /// Checks all prompts and blocks.
    package init() {}
  }

  let folder: String
  let extent: Extent
  let file: RecordFile
  let stored: StoredTriplets
  let loaded: LoadedModel
  let resolved: ResolvedSettings
  /// The prompts to check, as positions in the record, in the order of the loaded ones.
  let prompts: [Int]
  /// The blocks to check, from 1.
  let layers: [Int]
  /// A tally with the checks that are left out from the start.
  let begun: VerificationTally

  /// Opens a run and its model, where the run found it or at another path, and checks that they belong together.
  ///
  /// Throws `RunError.badRun` for a folder that is not a finished run, `unfit` for another command's run or another model,
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
        .layers, reason: "names no block of the run; leave it out for all")
    }
    var leftOut = run.failures.map { "prompt \($0.number): it failed, and has no results" }
    if description.width > extent.denseWidth {
      leftOut.append(
        "the true singular values: the width, \(description.width), is above \(extent.denseWidth), "
          + "up to which Jacobians are formed")
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
          "is a run of krylens \(kind == .lens ? "lens fit" : kind.rawValue), but krylens verify checks runs of "
          + "krylens align")
    }
    let run = try StoredRun(folder, .identities).record
    guard run.complete else {
      throw .badRun(
        path: folder,
        reason: "it is unfinished: repeat its command, which resumes it")
    }
    return run
  }

  /// The requested prompts that did not fail.
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
      throw .badRun(path: folder, reason: "all prompts to be checked failed in the run")
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
    // The tokens are those that were read, not the text they came from.
    settings.encoderPrompt = nil
    settings.encoderTokenIds = run.prompts[prompts[0]].encoderTokenIds
    let headers = prompts.map { PromptHeader(run.prompts[$0]) }
    let loaded = try LoadedModel(settings, prompts: headers.map { PromptInput($0) })
    for (header, prompt) in zip(headers, loaded.prompts)
    where PromptHeader(prompt.given, prompt.input, []).read != header.read {
      throw RunError.unfit(
        path: folder,
        reason:
          "read another image than \(header.image ?? "the file") is now; restore the original image"
      )
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
        recorded: "was made with a model that cannot be opened where it was (\(error)); ")
      throw RunError.unfit(path: folder, reason: reason + "give its path with \(.modelOfRun)")
    }
    throw RunError.unfit(
      path: folder,
      reason:
        "was made with other weights than \(model) has now; give its own model with \(.modelOfRun)")
  }
}
