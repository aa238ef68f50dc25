/// Tokens of a sequence whose keys and values are active, and the rows of a variable that hold them.
///
/// The tokens ascend, and their rows follow one another.
public struct ActiveTokens: Sendable {
  /// Tokens that follow one another, from a token and its row on.
  struct Run {
    var token, row, count: Int
  }

  let runs: [Run]

  /// No token is active.
  public static let none = ActiveTokens([], firstRow: 0)

  /// These tokens, ascending, the first of them in this row.
  public init(_ tokens: [Int], firstRow: Int) {
    var runs: [Run] = []
    for (i, token) in tokens.enumerated() {
      precondition(i == 0 || tokens[i - 1] < token, "active tokens ascend")
      if let last = runs.last, last.token + last.count == token {
        runs[runs.count - 1].count += 1
      } else {
        runs.append(Run(token: token, row: firstRow + i, count: 1))
      }
    }
    self.runs = runs
  }

  /// Those among the tokens seen, counted from the first seen one.
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
