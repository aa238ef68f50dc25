import Foundation

/// The outcome of many solves.
struct Tally: Sendable {
  private(set) var solves = 0
  private(set) var missed = 0
  private(set) var exceeded = 0
  private(set) var notConverged = 0
  private(set) var notProven = 0
  private var worstValue = 0.0
  private var worstVector = 0.0
  private var slack: [Double] = []
  private var passes: [Double] = []
  private var probing: [Double] = []

  /// Adds a solve; without the check, one that did not converge may miss something.
  mutating func add(_ verdict: Verdict, isChecked: Bool) {
    solves += 1
    if !verdict.converged { notConverged += 1 }
    if !verdict.proven { notProven += 1 }
    guard isChecked || verdict.converged else { return }
    if verdict.missed { missed += 1 }
    if verdict.exceeded { exceeded += 1 }
    worstValue = max(worstValue, verdict.worstValue)
    worstVector = max(worstVector, verdict.worstVector)
    slack += verdict.slack
    passes.append(Double(verdict.passes))
    probing.append(Double(verdict.probing))
  }

  mutating func add(_ other: Tally) {
    solves += other.solves
    missed += other.missed
    exceeded += other.exceeded
    notConverged += other.notConverged
    notProven += other.notProven
    worstValue = max(worstValue, other.worstValue)
    worstVector = max(worstVector, other.worstVector)
    slack += other.slack
    passes += other.passes
    probing += other.probing
  }

  static let columns = [
    "solves", "missed", "off", "exceeded", "unconv.", "unproven", "value", "vector", "slack",
    "passes",
    "probing",
  ]

  /// A row of a table: these solves, or those with the check `off` if there are none, and how many of the latter missed.
  static func row(_ on: Tally, _ off: Tally) -> [String] {
    let shown = on.solves > 0 ? on : off
    func text(_ x: Double, _ digits: Int) -> String { String(format: "%.\(digits)g", x) }
    return [
      "\(shown.solves)", on.solves > 0 ? "\(on.missed)" : "-",
      off.solves > 0 ? "\(off.missed)" : "-", "\(shown.exceeded)", "\(shown.notConverged)",
      "\(shown.notProven)", text(shown.worstValue, 2), text(shown.worstVector, 2),
      text(median(shown.slack), 2), text(median(shown.passes), 3), text(median(shown.probing), 3),
    ]
  }

  private static func median(_ x: [Double]) -> Double {
    x.isEmpty ? .nan : x.sorted()[x.count / 2]
  }
}
