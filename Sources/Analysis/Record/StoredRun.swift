import Foundation

/// A run folder on disk.
public struct StoredRun: Sendable {
  /// The path of the folder.
  public let path: String
  /// Its `result.json`.
  public let record: RunRecord

  /// How much of the prompts is read.
  public enum Extent: Sendable {
    /// The whole record.
    case whole
    /// Which prompts there are, which Jacobians were computed, and what failed; memory does not grow with the results.
    case identities
  }

  /// Reads `result.json` of a run folder, or the finished part of an unfinished run, whose record is not `complete`. Throws
  /// `RunError.badRun` if there is neither, or if it is not a record.
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
        throw .badRun(path: path, reason: "it is a run of krylens \(kind.rawValue)")
      }
      throw error
    } catch {
      throw .badRun(path: path, reason: "\(error)")
    }
  }

  /// The folder's path with symbolic links resolved: the same for every way of naming it.
  package var resolvedPath: String {
    URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
  }
}

extension RunRecord {
  /// The record with repeated prompts counted once; earlier versions counted each repetition.
  fileprivate func countingRepeatsOnce() -> RunRecord {
    guard statistics.distinctPrompts == nil, Set(prompts.firstAlike).count < prompts.count else {
      return self
    }
    var record = self
    record.statistics = StudyStatistics(prompts, diagonal: settings.diagonal)
    return record
  }
}
