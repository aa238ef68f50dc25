import Files
import Foundation

/// Which files are read for a model's weights, and why those.
public struct WeightChoice: Sendable, Equatable {
  /// The folder they lie in.
  let folder: String
  /// The files' names: an index before the files it names.
  public let files: [String]
  /// Why these.
  public let reason: String
  /// Files of other weights beside them, which are not read.
  public let left: [String]

  /// Some files for people: the first of them, and how many more there are.
  public func listed(_ names: [String]) -> String {
    let more = names.count > 3 ? " and \(names.count - 2) other files" : ""
    return names.prefix(names.count > 3 ? 2 : 3).map { escaped($0, limit: 80) }.joined(
      separator: ", ") + more
  }

  /// The bytes of some files, or of what they are links to.
  public func byteCount(of names: [String]) -> Int {
    names.reduce(0) { sum, name in
      var status = stat()
      return stat("\(folder)/\(name)", &status) == 0 ? sum + Int(status.st_size) : sum
    }
  }
}
