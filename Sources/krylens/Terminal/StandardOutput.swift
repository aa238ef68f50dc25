import ArgumentParser
import Analysis
import Foundation

/// Standard output. All that a command prints goes through here, so that what cannot be written is an error.
enum StandardOutput {
  /// Why nothing more can be printed.
  struct Unwritable: Error, CustomStringConvertible {
    let reason: String
    var description: String {
      "standard output: cannot be written (\(reason)); make room there or print to another place. Files that were "
        + "written are whole"
    }
  }

  /// Prints a text and ends its line. Throws as `write(_:)`.
  static func print(_ text: String) throws { try write(Data("\(text)\n".utf8)) }

  /// Prints bytes. Throws `Unwritable`; where nobody reads on, as with `| head`, the command ends without a message.
  static func write(_ data: Data) throws {
    var written = 0
    while written < data.count {
      let count = data.withUnsafeBytes {
        Foundation.write(STDOUT_FILENO, $0.baseAddress! + written, $0.count - written)
      }
      if count >= 0 {
        written += count
      } else if errno == EAGAIN {
        // Somebody else's end of the pipe does not block, and so neither does ours.
        var ready = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
        poll(&ready, 1, -1)
      } else if errno == EPIPE {
        throw ExitCode(128 + SIGPIPE)
      } else if errno != EINTR {
        throw Unwritable(reason: String(cString: strerror(errno)))
      }
    }
  }

  /// Keeps the places of the three standard streams, where one is closed, from the next file that is opened: what is
  /// printed must not get into it. Writing to such a stream fails, as before.
  static func keepPlaces() {
    for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) < 0 {
      // The lowest free number, so this stream's.
      _ = open("/dev/null", O_RDONLY)
    }
  }
}

/// A line on standard error; where that is closed there is nobody to tell.
func note(_ text: String) {
  try? FileHandle.standardError.write(contentsOf: Data("\(text)\n".utf8))
}

/// Writes a file that an option names, whole or not at all. Throws `RunError.cannotWrite`.
func write(_ text: String, to path: String) throws(RunError) {
  do {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
  } catch {
    throw .cannotWrite(path: path, reason: error.localizedDescription)
  }
}
