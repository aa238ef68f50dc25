import Foundation

/// The lines in tables and pages on how certain Jacobians' triplets are: values that may be missing, errors, clusters. Empty for
/// records without this information.
package struct CertaintyLines {
  /// One statement per line; clusters are indented below their statement.
  package let lines: [String]

  /// The most clusters that are printed one by one.
  private static let mostClusters = 6

  /// The lines for the Jacobians of one or several prompts.
  package init(_ layers: [LayerRecord]) {
    let bounded = layers.filter { $0.bound != nil }
    guard !bounded.isEmpty else {
      lines = []
      return
    }
    lines = [Self.certificates(bounded), Self.errors(bounded)] + Self.clusters(bounded)
  }

  private static func certificates(_ layers: [LayerRecord]) -> String {
    let found = layers.compactMap(\.certificate)
    guard !found.isEmpty else { return "missed values: not looked for" }
    let proven = found.count(where: \.isProof)
    var text =
      "nothing missed: proven for \(proven) of \(layers.count) Jacobian"
      + (layers.count == 1 ? "" : "s")
    if proven < found.count { text += ", bounded for \(found.count - proven)" }
    let chance = found.map(\.failureProbability).max() ?? 0
    return text + (chance > 0 ? String(format: ", δ = %.0e", chance) : "")
  }

  private static func errors(_ layers: [LayerRecord]) -> String {
    let largest = layers.compactMap { l -> Double? in
      guard let first = l.singularValues.first, first > 0 else { return nil }
      return l.bound?.max().map { $0 / first }
    }.max()
    let double = layers.count { $0.precision == .double }
    return "singular values within " + (largest.map { String(format: "%.1e σ₁", $0) } ?? "0")
      + (double > 0 ? ", \(double) of \(layers.count) continued in double precision" : "")
  }

  private static func clusters(_ layers: [LayerRecord]) -> [String] {
    let found = layers.flatMap { l in
      (l.clusters ?? []).filter { $0.count == 2 }.map { "block \(l.layer): σ \($0[0]) to \($0[1])" }
    }
    guard !found.isEmpty else { return [] }
    let more = found.count - mostClusters
    return [
      "not told apart, single vectors not determined (see invariant in result.json):"
    ] + found.prefix(mostClusters).map { "  " + $0 } + (more > 0 ? ["  and \(more) more"] : [])
  }
}
