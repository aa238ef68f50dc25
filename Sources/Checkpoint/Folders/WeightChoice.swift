import Files
import Foundation

/// Which files a model's weights are read from, and why.
public struct WeightChoice: Sendable, Equatable {
  /// The folder that contains the files.
  let folder: String
  /// The names of the files: an index before the files it names.
  public let files: [String]
  /// Why these files were chosen.
  public let reason: String
  /// Files with other weights in the same folder, which are not read.
  public let left: [String]

  /// A list of file names for messages: the first few, and how many more there are.
  public func listed(_ names: [String]) -> String {
    let more = names.count > 3 ? " and \(names.count - 2) other files" : ""
    return names.prefix(names.count > 3 ? 2 : 3).map { escaped($0, limit: 80) }.joined(
      separator: ", ") + more
  }

  /// The total size in bytes of some files, with links followed.
  public func byteCount(of names: [String]) -> Int {
    names.reduce(0) { sum, name in
      var status = stat()
      return stat("\(folder)/\(name)", &status) == 0 ? sum + Int(status.st_size) : sum
    }
  }
}
