public import Analysis

/// Why a report could not be made.
public enum ReportError: SettingError, Equatable, Sendable {
  /// No gnuplot on the path.
  case noGnuplot
  /// gnuplot did not start, complained, or left a picture out.
  case gnuplotFailed(figure: String, reason: String)
  /// gnuplot took longer than a figure can.
  case gnuplotTimedOut(figure: String, seconds: Int)
  /// The folder for the report is a run's.
  case isRun(path: String)
  /// The folder for the report holds something that is no report.
  case isTaken(path: String)

  /// What is wrong and what to do.
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
