import ArgumentParser
import Foundation

/// A file, a folder, or a model's name, as an option or argument gives it. Shells complete it to names of files.
///
/// A leading `~`, alone or before a slash, is the home folder: shells leave it as it is in `--output=~/x`. A file of that
/// very name is `./~`. Nothing else of a path is changed.
struct FilePath: ExpressibleByArgument, Equatable {
  /// The path.
  let path: String

  init(argument: String) {
    if argument == "~" || argument.hasPrefix("~/") {
      path = Self.home + argument.dropFirst()
    } else if argument.hasPrefix("~") {
      // Foundation would take it for somebody's home in some of its functions, and the system in none.
      path = "./\(argument)"
    } else {
      path = argument
    }
  }

  static var defaultCompletionKind: CompletionKind { .file() }

  /// As shells have it: the variable HOME, else what the system says.
  private static var home: String {
    if let home = ProcessInfo.processInfo.environment["HOME"], !home.isEmpty {
      return home == "/" ? "" : home
    }
    return getpwuid(getuid()).map { String(cString: $0.pointee.pw_dir) } ?? "~"
  }
}
