import ArgumentParser
import Analysis
import Foundation

/// Standard output. Everything a command prints goes through here, so that a failed write is an error.
enum StandardOutput {
  /// The error of a failed write.
  struct Unwritable: Error, CustomStringConvertible {
    let reason: String
    var description: String {
      "standard output: cannot be written (\(reason)); make room there or redirect it elsewhere. Files already "
        + "written are complete"
    }
  }

  /// Prints a text and a line break. Throws like `write(_:)`.
  static func print(_ text: String) throws { try write(Data("\(text)\n".utf8)) }

  /// Prints bytes. Throws `Unwritable`; if the reader has closed the pipe, as in `| head`, the command ends without a message.
  static func write(_ data: Data) throws {
    var written = 0
    while written < data.count {
      let count = data.withUnsafeBytes {
        Foundation.write(STDOUT_FILENO, $0.baseAddress! + written, $0.count - written)
      }
      if count >= 0 {
        written += count
      } else if errno == EAGAIN {
        // Another process has made the pipe non-blocking, which affects this end too.
        var ready = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
        poll(&ready, 1, -1)
      } else if errno == EPIPE {
        throw ExitCode(128 + SIGPIPE)
      } else if errno != EINTR {
        throw Unwritable(reason: String(cString: strerror(errno)))
      }
    }
  }

  /// Opens `/dev/null` in place of each standard stream that is closed, so that the next file opened does not take its
  /// number and receive what is printed. Writing to such a stream still fails.
  static func keepPlaces() {
    for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) < 0 {
      // `open` returns the lowest free number, which is this stream's.
      _ = open("/dev/null", O_RDONLY)
    }
  }
}

/// Prints a line on standard error; does nothing if that is closed.
func note(_ text: String) {
  try? FileHandle.standardError.write(contentsOf: Data("\(text)\n".utf8))
}

/// Writes a file that an option names, completely or not at all. Throws `RunError.cannotWrite`.
func write(_ text: String, to path: String) throws(RunError) {
  do {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
  } catch {
    throw .cannotWrite(path: path, reason: error.localizedDescription)
  }
}
