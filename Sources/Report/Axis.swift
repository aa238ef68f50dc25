import Foundation

/// gnuplot commands for the margins and axes of a panel.
enum Axis {
  /// The margins of a panel, as fractions of the figure measured from its lower left corner.
  static func panel(x: ClosedRange<Double>, y: ClosedRange<Double>) -> String {
    "set lmargin at screen \(x.lowerBound); set rmargin at screen \(x.upperBound); "
      + "set bmargin at screen \(y.lowerBound); set tmargin at screen \(y.upperBound)"
  }

  /// A key of the given number of entries, stacked above a panel, and the height in pixels that it needs.
  ///
  /// gnuplot silently drops entries of a horizontal key that do not fit, and overestimates the width of text in SVG, so a
  /// horizontal key is only suitable for short titles.
  static func key(entries: Int) -> (command: String, height: Double) {
    (
      "set key at graph 0.5, graph 1.015 center bottom vertical maxrows \(max(entries, 1))",
      26 + 31 * Double(entries)
    )
  }

  /// A nonempty range `[a:b]` that contains the given numbers with a margin at both ends.
  static func range(_ values: some Sequence<Double?>, isLogarithmic: Bool = false) -> String {
    if isLogarithmic {
      let (low, high) = logarithmicEnds(values)
      return "[\(low):\(high)]"
    }
    let known = values.compactMap { $0 }.filter(\.isFinite)
    guard let (low, high) = linearEnds(known) else { return "[0:1]" }
    return "[\(low):\(high)]"
  }

  /// The ends of a linear axis that contains the given finite numbers with a margin; nil if there are none.
  static func linearEnds(_ known: [Double]) -> (low: Double, high: Double)? {
    guard let low = known.min(), let high = known.max() else { return nil }
    let room = high > low ? 0.06 * (high - low) : max(0.1 * abs(high), 1e-6)
    return (low - room, high + room)
  }

  /// The ends of a logarithmic axis that contains the positive numbers among `values` with a margin.
  private static func logarithmicEnds(
    _ values: some Sequence<Double?>
  ) -> (low: Double, high: Double) {
    let known = values.compactMap { $0 }.filter { $0.isFinite && $0 > 0 }
    guard let low = known.min(), let high = known.max() else { return (0.1, 10) }
    // Roots are taken before the quotient, which could overflow.
    let room = max(pow(high, 0.06) / pow(low, 0.06), 1.1)
    return (max(low / room, .leastNonzeroMagnitude), min(high * room, .greatestFiniteMagnitude))
  }

  /// The range of a linear axis, and a round tick spacing that gives about `most` ticks at most.
  static func linear(
    _ values: some Sequence<Double?>, most: Int = 5
  ) -> (range: String, step: String) {
    let known = values.compactMap { $0 }.filter(\.isFinite)
    guard let (low, high) = linearEnds(known), (high - low).isFinite else {
      return (range(known), "auto")
    }
    return (range(known), "\(roundStep((high - low) / Double(most)))")
  }

  /// At most `most` labelled ticks for a logarithmic axis that contains the given positive numbers.
  ///
  /// The ticks are powers of ten (only every n-th if there are many), or 1 and 3 or 1, 2 and 5 times powers of ten if there are
  /// few; if fewer than three of these lie on the axis, equally spaced round numbers. `name` returns a tick's label, or nil to
  /// omit the tick.
  static func logarithmicTics(
    _ values: some Sequence<Double?>, most: Int = 8, name: (Double) -> String? = Axis.number
  ) -> String {
    let (low, high) = logarithmicEnds(values)
    let exponents = Int(floor(log10(low)))...Int(ceil(log10(high)))
    let marks = { (factors: [Double]) in
      exponents.flatMap { e in factors.map { $0 * pow(10, Double(e)) } }
        .filter { $0 >= low && $0 <= high }
    }
    let candidates = [marks([1, 2, 5]), marks([1, 3]), marks([1])].filter { $0.count >= 3 }
    let chosen: [Double]
    if let fitting = candidates.first(where: { $0.count <= most }) {
      chosen = fitting
    } else if let powers = candidates.last {
      let step = integerStep(powers.count, most: most)
      chosen = stride(from: 0, to: powers.count, by: step).map { powers[$0] }
    } else {
      let step = roundStep((high - low) / Double(most))
      let first = (low / step).rounded(.up)
      chosen = (0..<most).map { (first + Double($0)) * step }.filter { $0 <= high }
    }
    let named = chosen.compactMap { mark in name(mark).map { "'\($0)' \(mark)" } }
    return "(" + named.joined(separator: ", ") + ")"
  }

  /// The least of 1, 2, 5, 10, … times a power of ten that is not below `least`.
  private static func roundStep(_ least: Double) -> Double {
    let scale = pow(10, floor(log10(least)))
    return [1, 2, 5].map { $0 * scale }.first { $0 >= least } ?? 10 * scale
  }

  /// The label of a tick: `0.05`, `2000`, `10⁷`, `2·10⁻⁵`.
  static func number(_ x: Double) -> String {
    guard x != 0, !(1e-3..<1e5).contains(abs(x)) else { return String(format: "%g", x) }
    let parts = String(format: "%.2e", x).split(separator: "e")
    let (factor, exponent) = (Double(parts[0]) ?? 1, Int(parts[1]) ?? 0)
    let raised = "\(exponent)".map {
      $0 == "-" ? "⁻" : String(superscripts[$0.wholeNumberValue ?? 0])
    }
    return (factor == 1 ? "" : String(format: "%g·", factor)) + "10" + raised.joined()
  }

  private static let superscripts = Array("⁰¹²³⁴⁵⁶⁷⁸⁹")

  /// Ticks at the positions 0, 1, … with the given names, at most `most` of them.
  static func tics(_ names: [Int], most: Int = 12) -> String {
    let step = integerStep(names.count, most: most)
    // If the names are consecutive integers, multiples of the step are labelled.
    let shift = names.first.map { first in
      names == Array(first..<first + names.count) && step > 1
        ? (step - first % step) % step : 0
    }
    let places = stride(from: shift ?? 0, to: names.count, by: step)
    return "(" + places.map { "'\(names[$0])' \($0)" }.joined(separator: ", ") + ")"
  }

  /// The least step among 1, 2, 5, 10, 20, … that gives at most `most` steps in `count`.
  static func integerStep(_ count: Int, most: Int = 12) -> Int {
    var scale = 1
    while true {
      for step in [1, 2, 5] where count <= most * step * scale { return step * scale }
      // `count` is the size of an array in memory, so the loop ends long before `scale` could overflow.
      scale *= 10
    }
  }
}

/// Textual labels along an axis of a panel: a data table for gnuplot and the command that draws it.
struct AxisNames {
  /// Whether the labels are below the panel, rotated by 90°, or to its left.
  enum Side { case bottom, left }

  let table: DataTable
  private let side: Side

  /// Labels for the positions 0, 1, …, of which at most `most` are drawn.
  init(_ suffix: String, _ names: [String], side: Side, most: Int, limit: Int = 12) {
    var table = DataTable(suffix, columns: ["place", "name"], isForNames: true)
    for i in stride(from: 0, to: names.count, by: Axis.integerStep(names.count, most: most)) {
      table.append([.integer(i), .label(shortened(names[i], limit: limit))])
    }
    (self.table, self.side) = (table, side)
  }

  /// The plot command; `start` is the coordinate of the panel's edge that the labels are drawn at.
  func command(start: Double) -> String {
    let file = "name.'\(table.suffix).dat'"
    return side == .bottom
      ? "\(file) using 1:(\(start)):2 with labels right rotate by 90 offset 0, -0.5 font small"
      : "\(file) using (\(start)):1:2 with labels right offset -0.7, 0 font small"
  }
}

/// A number in readable form, with about three significant digits.
func short(_ x: Double?) -> String {
  guard let x, x.isFinite else { return "–" }
  let size = abs(x)
  let text =
    size == 0
    ? "0"
    : size < 1e-4 || size >= 1e5
      ? String(format: "%.1e", x)
      : String(format: size < 1 ? "%.4f" : size < 100 ? "%.3f" : "%.1f", x)
  return text.replacing("-", with: "−")
}
