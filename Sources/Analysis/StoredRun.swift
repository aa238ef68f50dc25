import Checkpoint
import Foundation

/// A run folder, read again.
public struct StoredRun: Sendable {
  /// Where it lies.
  public let path: String
  /// Its `result.json`.
  public let record: RunRecord

  /// Reads `result.json` of a run folder, or what is finished of a run that has not ended: then the record is not
  /// `complete`. Throws `RunError.badRun` when there is neither, or it is none of ours.
  public init(_ path: String) throws(RunError) {
    self.path = path
    do {
      if !FileManager.default.fileExists(atPath: "\(path)/result.json"),
        let begun = try RunFolder.begun(in: path)
      {
        record = begun
        return
      }
      let file = try MappedFile("\(path)/result.json")
      record = try RunRecord(json: Data(try file.copy(0..<file.count))).countingRepeatsOnce()
    } catch let error as DecodingError {
      throw .badRun(path: path, reason: "result.json: \(Self.place(of: error))")
    } catch {
      throw .badRun(path: path, reason: "\(error)")
    }
  }

  /// The same for every way of naming the folder.
  var resolvedPath: String {
    URL(fileURLWithPath: path).standardizedFileURL.resolvingSymlinksInPath().path
  }

  /// Which key, and what is wrong with it.
  private static func place(of error: DecodingError) -> String {
    let (keys, context): ([any CodingKey], DecodingError.Context)
    switch error {
    case .typeMismatch(_, let c), .valueNotFound(_, let c), .dataCorrupted(let c):
      (keys, context) = (c.codingPath, c)
    case .keyNotFound(let key, let c): (keys, context) = (c.codingPath + [key], c)
    @unknown default: return "\(error)"
    }
    let path = keys.map { $0.intValue.map(String.init) ?? $0.stringValue }
    return "\(path.joined(separator: ".")): \(context.debugDescription)"
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
