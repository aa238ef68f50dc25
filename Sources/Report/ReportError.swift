/// Why a report could not be made.
public enum ReportError: Error, Equatable, Sendable, CustomStringConvertible {
  /// No gnuplot on the path.
  case noGnuplot
  /// gnuplot did not start, complained, or left a picture out.
  case gnuplotFailed(figure: String, reason: String)
  /// gnuplot took longer than a figure can.
  case gnuplotTimedOut(figure: String, seconds: Int)

  /// What is wrong and what to do.
  public var description: String {
    switch self {
    case .noGnuplot:
      "gnuplot, which draws the figures, is not on the PATH; install it (Debian, Ubuntu: apt-get install "
        + "gnuplot-nox)"
    case .gnuplotFailed(let figure, let reason):
      "gnuplot did not draw \(figure) (\(reason)); see whether gnuplot --version says 5.4 or later"
    case .gnuplotTimedOut(let figure, let seconds):
      "gnuplot had not drawn \(figure) after \(seconds) s and was stopped; name fewer runs"
    }
  }
}
