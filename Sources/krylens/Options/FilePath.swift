import ArgumentParser
import Foundation

/// A file, a folder or a model's name, as given to an option or argument. Shells complete it to file names.
///
/// A leading `~`, alone or before a slash, stands for the home folder: shells do not expand it in `--output=~/x`. A file
/// with that very name is written `./~`. Nothing else in a path is changed. An empty path is refused: it would be the current
/// folder.
struct FilePath: ExpressibleByArgument, Equatable {
  /// The path.
  let path: String

  init?(argument: String) {
    guard !argument.isEmpty else { return nil }
    if argument == "~" || argument.hasPrefix("~/") {
      path = Self.home + argument.dropFirst()
    } else if argument.hasPrefix("~") {
      // Some of Foundation's functions would expand it to another user's home; the system's do not.
      path = "./\(argument)"
    } else {
      path = argument
    }
  }

  static var defaultCompletionKind: CompletionKind { .file() }

  /// The home folder as shells find it: the variable HOME, else the user database.
  private static var home: String {
    if let home = ProcessInfo.processInfo.environment["HOME"], !home.isEmpty {
      return home == "/" ? "" : home
    }
    return getpwuid(getuid()).map { String(cString: $0.pointee.pw_dir) } ?? "~"
  }
}
