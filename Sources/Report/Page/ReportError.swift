public import Analysis

/// The reason why a report could not be written.
public enum ReportError: SettingError, Equatable, Sendable {
  /// There is no gnuplot on the PATH.
  case noGnuplot
  /// gnuplot did not start, reported an error, or did not write a picture.
  case gnuplotFailed(figure: String, reason: String)
  /// gnuplot exceeded the time limit of a figure.
  case gnuplotTimedOut(figure: String, seconds: Int)
  /// The output folder is a run folder.
  case isRun(path: String)
  /// The output folder holds something other than a report.
  case isTaken(path: String)

  /// The error and its remedy.
  public var message: SettingMessage {
    switch self {
    case .noGnuplot:
      "gnuplot, which draws the figures, is not on the PATH; install it (Debian, Ubuntu: apt-get install "
        + "gnuplot-nox)"
    case .gnuplotFailed(let figure, let reason):
      "gnuplot did not draw \(figure) (\(reason)); see whether gnuplot --version says 5.4 or later"
    case .gnuplotTimedOut(let figure, let seconds):
      "gnuplot had not drawn \(figure) after \(seconds) s and was stopped; name fewer runs"
    case .isRun(let path):
      "\(path) is a run folder, which a report does not belong in; choose another folder with \(.output)"
    case .isTaken(let path):
      "\(path) exists and holds something other than a report; choose another folder with \(.output)"
    }
  }
}
