/// The tokens of a sequence whose keys and values are active, and the rows of a variable that contain them.
///
/// The tokens ascend, and their rows are consecutive.
public struct ActiveTokens: Sendable {
  /// A run of consecutive tokens, by its first token and row.
  struct Run {
    var token, row, count: Int
  }

  let runs: [Run]

  /// No token is active.
  public static let none = ActiveTokens([], firstRow: 0)

  /// The given tokens, ascending; the first one is in row `firstRow`.
  public init(_ tokens: [Int], firstRow: Int) {
    var runs: [Run] = []
    for (i, token) in tokens.enumerated() {
      precondition(i == 0 || tokens[i - 1] < token, "active tokens must ascend")
      if let last = runs.last, last.token + last.count == token {
        runs[runs.count - 1].count += 1
      } else {
        runs.append(Run(token: token, row: firstRow + i, count: 1))
      }
    }
    self.runs = runs
  }

  /// The runs within the tokens `seen`, with tokens counted from the first one seen.
  func places(in seen: Range<Int>) -> [Run] {
    runs.compactMap { run in
      let part = (run.token..<run.token + run.count).clamped(to: seen)
      guard !part.isEmpty else { return nil }
      return Run(
        token: part.lowerBound - seen.lowerBound, row: run.row + part.lowerBound - run.token,
        count: part.count)
    }
  }
}
