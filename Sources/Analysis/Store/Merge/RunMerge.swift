import Files
import Checkpoint
import Foundation

/// Joins runs of one model with the same numeric settings over different prompts: shards, or separate lists.
public struct RunMerge {
  private let runs: [StoredRun]
  private let record: RunRecord

  /// Reads the runs: all shards, in any order; or complete runs, whose prompts are joined in the order given.
  ///
  /// Throws `RunError.badRun`, naming all folders that hold no complete run, and `notTogether` for runs that differ in settings
  /// that determine numbers, have a prompt in common, or are not the parts of one list. Failed prompts are kept as failed.
  public init(_ paths: [String]) throws {
    let runs = try Self.read(paths)
    guard let first = runs.first else {
      throw RunError.notTogether(path: "", reason: "no run is given")
    }
    for run in runs {
      let manifests = [first, run].map { RunManifest($0.record) }
      // Hidden states of only some of the prompts would be lost, or taken for those of all.
      if let reason = try manifests[0].obstacleBesidesPrompts(to: manifests[1])
        ?? manifests[0].settings.difference(.saveHiddenStates, from: manifests[1].settings)
      {
        throw RunError.notTogether(
          path: run.path,
          reason:
            "compared with \(first.path), \(reason); give runs of one model with one set of options"
        )
      }
    }
    self.runs = try MergeParts(runs).runs
    var record = first.record
    (record.settings.shard, record.promptList) = (nil, nil)
    record.prompts = []
    record.seconds = runs.map(\.record.seconds).reduce(
      .init(total: 0, load: 0, solve: 0, coupling: 0)
    ) {
      .init(
        total: $0.total + $1.total, load: $0.load + $1.load, solve: $0.solve + $1.solve,
        coupling: $0.coupling + $1.coupling)
    }
    record.computedWith = runs.flatMap { $0.record.computedWith ?? [] }.reduce(into: []) {
      if !$0.contains($1) { $0.append($1) }
    }
    record.peakMemoryBytes = runs.map(\.record.peakMemoryBytes).max() ?? 0
    record.peakPrivateBytes = runs.map(\.record.peakPrivateBytes).max() ?? 0
    self.record = record
  }

  /// Reads all runs, or throws an error that names each one that is not complete.
  private static func read(_ paths: [String]) throws(RunError) -> [StoredRun] {
    var runs: [StoredRun] = []
    var failures: [(path: String, reason: String)] = []
    for path in paths {
      do {
        let run = try StoredRun(path, .identities)
        if let reason = obstacle(in: run) { failures.append((path, reason)) }
        runs.append(run)
      } catch {
        guard case .badRun(_, let reason) = error else { throw error }
        failures.append((path, reason))
      }
    }
    guard let first = failures.first else { return runs }
    let others = failures.dropFirst().map { "; \($0.path): \($0.reason)" }.joined()
    throw .badRun(path: first.path, reason: first.reason + others)
  }

  /// What a run lacks to be complete: its end, or arrays that every complete run has.
  private static func obstacle(in run: StoredRun) -> String? {
    guard run.record.complete else {
      return "it is unfinished: repeat its command, which resumes it"
    }
    guard run.record.prompts.contains(where: { $0.failed == nil }) else { return nil }
    let arrays =
      ["triplets.safetensors"]
      + (run.record.settings.saveHiddenStates ? ["hidden_states.safetensors"] : [])
    return arrays.first { !FileManager.default.fileExists(atPath: "\(run.path)/\($0)") }
      .map { "\($0) is missing: put it back, or run that part again" }
  }

  /// Writes the joined run into a new or empty folder, prompt by prompt, and returns its record, the prompts condensed to what
  /// the statistics read.
  ///
  /// Throws `RunError.outputNotEmpty`, `cannotWrite`, and `badRun` for arrays that are no longer what was written.
  public func write(to path: String) throws -> RunRecord {
    let files = FileManager.default
    if files.fileExists(atPath: path) {
      let contents = try? files.contentsOfDirectory(atPath: path)
      guard contents?.isEmpty == true else { throw RunError.outputNotEmpty(path: path) }
    }
    let folder = try OutputFolder(
      making: URL(fileURLWithPath: path).standardizedFileURL.path, name: path)
    do {
      for name in ["triplets.safetensors", "couplings.safetensors", "hidden_states.safetensors"] {
        try join(name, into: folder)
      }
      let writer = try RecordWriter(folder, diagonal: record.settings.diagonal)
      for run in runs {
        let file = try RecordFile(run.path)
        for p in 0..<file.count {
          try file.copy(prompt: p, to: writer) { $0.failed?.number = writer.count + 1 }
        }
      }
      return try writer.finish { prompts in
        var record = record
        record.settings.output = path
        record.prompts = prompts
        record.statistics = StudyStatistics(prompts, diagonal: record.settings.diagonal)
        return record
      }
    } catch {
      folder.takeBack()
      throw error
    }
  }

  /// Joins the same file of all runs into one, renumbering `p0.…` of later runs; writes nothing if no run has it.
  private func join(_ name: String, into folder: OutputFolder) throws {
    var parts: [(file: SafetensorsFile, names: [String])] = []
    var entries: [SafetensorsWriter.Entry] = []
    var first = 0
    for run in runs {
      defer { first += run.record.prompts.count }
      let path = "\(run.path)/\(name)"
      guard FileManager.default.fileExists(atPath: path) else { continue }
      let file = try SafetensorsFile(path)
      var names: [String] = []
      for info in file.tensors {
        let rest = info.name.drop { $0 != "." }
        guard info.name.hasPrefix("p"), let p = Int(info.name.dropFirst().prefix { $0 != "." }),
          run.record.prompts.indices.contains(p), info.elementType == .f32
        else {
          throw RunError.badRun(path: run.path, reason: "\(name) holds a tensor \(info.name)")
        }
        names.append(info.name)
        entries.append(.init(name: "p\(first + p)\(rest)", shape: info.shape))
      }
      parts.append((file, names))
    }
    guard !entries.isEmpty else { return }
    do {
      let writer = try SafetensorsWriter("\(folder.path)/\(name)", entries: entries)
      for (file, names) in parts {
        for name in names {
          let tensor = try file.tensor(name)
          try withExtendedLifetime(file) { try writer.append(stored: tensor.bytes) }
          tensor.advise(.dontNeed)
        }
        try file.checkIntact()
      }
      try writer.finish()
    } catch FileError.cannotWrite(_, let reason) {
      throw RunError.cannotWrite(path: folder.name, reason: reason)
    }
  }
}
