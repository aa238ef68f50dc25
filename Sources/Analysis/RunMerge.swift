import Checkpoint
import Foundation

/// Joins runs of one model and one set of options whose prompts were run apart: shards, or lists of prompts.
public struct RunMerge {
  private let runs: [StoredRun]
  private let record: RunRecord

  /// Reads the runs: shards in whatever order, all of them; or whole runs, whose prompts will follow one another as given.
  ///
  /// Throws `RunError.badRun` for a folder that holds no complete run, and `notTogether` for runs that differ in more than
  /// their prompts, or shards of which one is missing or there twice.
  public init(_ paths: [String]) throws {
    var runs: [StoredRun] = []
    for path in paths {
      let run = try StoredRun(path)
      guard run.record.complete else {
        throw RunError.badRun(
          path: path, reason: "it has not ended: repeat its command, which goes on where it stopped"
        )
      }
      runs.append(run)
    }
    guard let first = runs.first else {
      throw RunError.notTogether(path: "", reason: "no run is named")
    }
    for run in runs {
      // What is merged has no shard; whether they complete one another is looked at below.
      let manifests = [first, run].map { run in
        var manifest = RunManifest(run.record)
        manifest.settings.shard = nil
        return manifest
      }
      if let reason = try manifests[0].obstacleBesidesPrompts(to: manifests[1]) {
        throw RunError.notTogether(path: run.path, reason: "beside \(first.path), \(reason)")
      }
    }
    self.runs = try Self.inOrder(runs)
    var record = first.record
    record.settings.shard = nil
    record.prompts = self.runs.flatMap(\.record.prompts)
    record.statistics = StudyStatistics(record.prompts, diagonal: record.settings.diagonal)
    record.seconds = runs.map(\.record.seconds).reduce(
      .init(total: 0, load: 0, solve: 0, coupling: 0)
    ) {
      .init(
        total: $0.total + $1.total, load: $0.load + $1.load, solve: $0.solve + $1.solve,
        coupling: $0.coupling + $1.coupling)
    }
    record.peakMemoryBytes = runs.map(\.record.peakMemoryBytes).max() ?? 0
    record.peakPrivateBytes = runs.map(\.record.peakPrivateBytes).max() ?? 0
    self.record = record
  }

  /// Shards by their number, each once; whole runs as they come.
  private static func inOrder(_ runs: [StoredRun]) throws(RunError) -> [StoredRun] {
    guard let count = runs.compactMap(\.record.settings.shard).first?.count else { return runs }
    var parts: [Int: StoredRun] = [:]
    for run in runs {
      guard let shard = run.record.settings.shard, shard.count == count else {
        throw .notTogether(path: run.path, reason: "is no part of \(count), as another one is")
      }
      if let twin = parts.updateValue(run, forKey: shard.index) {
        throw .notTogether(
          path: run.path, reason: "is part \(shard.index) of \(count), and so is \(twin.path)")
      }
    }
    if let missing = (1...count).first(where: { parts[$0] == nil }) {
      throw .notTogether(
        path: runs[0].path,
        reason:
          "is one of \(count) parts, of which \(missing)/\(count) is missing; name its run too")
    }
    return (1...count).compactMap { parts[$0] }
  }

  /// Writes the joined run into a new or empty folder; memory does not grow with the arrays.
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
      var record = record
      record.settings.output = path
      for table in RunTables.all(record) {
        try folder.write(Data(table.text.utf8), to: table.name)
      }
      try folder.write(try record.json(), to: "result.json")
      return record
    } catch {
      folder.takeBack()
      throw error
    }
  }

  /// The same file of all runs in one, `p0.…` of a later run counted on; nothing where no run has it.
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
    } catch CheckpointError.cannotWrite(_, let reason) {
      throw RunError.cannotWrite(path: folder.name, reason: reason)
    }
  }
}
