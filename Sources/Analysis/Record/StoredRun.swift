import Foundation

/// A run folder, read again.
public struct StoredRun: Sendable {
  /// Where it lies.
  public let path: String
  /// Its `result.json`.
  public let record: RunRecord

  /// How much of the prompts is read.
  public enum Extent: Sendable {
    /// All of it.
    case whole
    /// Which prompts there are, which Jacobians were computed, and what failed: memory does not grow with the results.
    case identities
  }

  /// Reads `result.json` of a run folder, or what is finished of a run that has not ended: then the record is not
  /// `complete`. Throws `RunError.badRun` when there is neither, or it is not a record.
  public init(_ path: String, _ extent: Extent = .whole) throws(RunError) {
    self.path = path
    do {
      if !FileManager.default.fileExists(atPath: "\(path)/result.json"),
        let begun = try RunFolder.begun(in: path)
      {
        record = begun
        return
      }
      let file = try RecordFile(path)
      var record = file.head
      for p in 0..<file.count {
        record.prompts.append(
          extent == .whole ? try file.prompt(p) : try file.outline(prompt: p).identity)
      }
      self.record = extent == .whole ? record.countingRepeatsOnce() : record
    } catch let error as RunError {
      let kind = RunKind(path)
      if case .badRun = error, kind != .align {
        throw .badRun(path: path, reason: "it is of krylens \(kind.rawValue)")
      }
      throw error
    } catch {
      throw .badRun(path: path, reason: "\(error)")
    }
  }

  /// The same for every way of naming the folder.
  package var resolvedPath: String {
    URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
  }
}

extension RunRecord {
  /// Earlier versions counted a prompt that was given three times as three.
  fileprivate func countingRepeatsOnce() -> RunRecord {
    guard statistics.distinctPrompts == nil, Set(prompts.firstAlike).count < prompts.count else {
      return self
    }
    var record = self
    record.statistics = StudyStatistics(prompts, diagonal: settings.diagonal)
    return record
  }
}
