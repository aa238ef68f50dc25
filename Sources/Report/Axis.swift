import Foundation

/// Commands for the sides and axes of a panel.
enum Axis {
  /// A panel between these shares of the figure, from its lower left corner.
  static func panel(x: ClosedRange<Double>, y: ClosedRange<Double>) -> String {
    "set lmargin at screen \(x.lowerBound); set rmargin at screen \(x.upperBound); "
      + "set bmargin at screen \(y.lowerBound); set tmargin at screen \(y.upperBound)"
  }

  /// A key of this many entries above a panel, one below the other, and the pixels it takes there.
  ///
  /// Beside each other, entries that do not fit are left out without a word, and an SVG's are estimated to be wider than
  /// they are: for short titles only.
  static func key(entries: Int) -> (command: String, height: Double) {
    (
      "set key at graph 0.5, graph 1.015 center bottom vertical maxrows \(max(entries, 1))",
      26 + 31 * Double(entries)
    )
  }

  /// `[a:b]` around some numbers with room at both ends; never empty.
  static func range(_ values: some Sequence<Double?>, isLogarithmic: Bool = false) -> String {
    if isLogarithmic {
      let (low, high) = logarithmicEnds(values)
      return "[\(low):\(high)]"
    }
    let known = values.compactMap { $0 }.filter(\.isFinite)
    guard let (low, high) = linearEnds(known) else { return "[0:1]" }
    return "[\(low):\(high)]"
  }

  /// Around some finite numbers, with room at both ends; nil of none.
  static func linearEnds(_ known: [Double]) -> (low: Double, high: Double)? {
    guard let low = known.min(), let high = known.max() else { return nil }
    let room = high > low ? 0.06 * (high - low) : max(0.1 * abs(high), 1e-6)
    return (low - room, high + room)
  }

  /// Around some positive numbers, with room at both ends.
  private static func logarithmicEnds(
    _ values: some Sequence<Double?>
  ) -> (low: Double, high: Double) {
    let known = values.compactMap { $0 }.filter { $0.isFinite && $0 > 0 }
    guard let low = known.min(), let high = known.max() else { return (0.1, 10) }
    // Roots before the quotient, which may be larger than any number.
    let room = max(pow(high, 0.06) / pow(low, 0.06), 1.1)
    return (max(low / room, .leastNonzeroMagnitude), min(high * room, .greatestFiniteMagnitude))
  }

  /// The same, and a round distance of marks of which at most `most` fit.
  static func linear(
    _ values: some Sequence<Double?>, most: Int = 5
  ) -> (range: String, step: String) {
    let known = values.compactMap { $0 }.filter(\.isFinite)
    guard let (low, high) = linearEnds(known), (high - low).isFinite else {
      return (range(known), "auto")
    }
    return (range(known), "\(roundStep((high - low) / Double(most)))")
  }

  /// Marks with numbers for a logarithmic axis around some positive numbers, at most `most` of them.
  ///
  /// Powers of ten, every so many if they are many; 1, 3 or 1, 2, 5 times those where they are few; and where not even three
  /// of these lie on the axis, round numbers at equal distances. `name` writes a mark, or leaves it out by nil.
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

  /// `0.05`, `2000`, `10⁷`, `2·10⁻⁵`: a round number beside a mark.
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

  /// Some of the names of `count` places 0, 1, …: as many as fit when `most` do.
  static func tics(_ names: [Int], most: Int = 12) -> String {
    let step = integerStep(names.count, most: most)
    // With steps of 5 or 10 the round names are marked, if the names are numbered through.
    let shift = names.first.map { first in
      names == Array(first..<first + names.count) && step > 1
        ? (step - first % step) % step : 0
    }
    let places = stride(from: shift ?? 0, to: names.count, by: step)
    return "(" + places.map { "'\(names[$0])' \($0)" }.joined(separator: ", ") + ")"
  }

  /// The least of 1, 2, 5, 10, 20, … of which at most `most` fit into `count`.
  static func integerStep(_ count: Int, most: Int = 12) -> Int {
    var scale = 1
    while true {
      for step in [1, 2, 5] where count <= most * step * scale { return step * scale }
      // A count is that of an array in memory, so this ends long before it could overflow.
      scale *= 10
    }
  }
}

/// Names that stand at places of a panel's axes, where they are texts and not numbers: a table for gnuplot and how to draw it.
struct AxisNames {
  /// At the bottom, written upwards; or at the left.
  enum Side { case bottom, left }

  let table: DataTable
  private let side: Side

  /// Of places 0, 1, …; at most `most` are named.
  init(_ suffix: String, _ names: [String], side: Side, most: Int, limit: Int = 12) {
    var table = DataTable(suffix, columns: ["place", "name"], isForNames: true)
    for i in stride(from: 0, to: names.count, by: Axis.integerStep(names.count, most: most)) {
      table.append([.integer(i), .label(shortened(names[i], limit: limit))])
    }
    (self.table, self.side) = (table, side)
  }

  /// For a panel whose axes begin at `start`: the left end of the horizontal, or the lower one of the vertical.
  func command(start: Double) -> String {
    let file = "name.'\(table.suffix).dat'"
    return side == .bottom
      ? "\(file) using 1:(\(start)):2 with labels right rotate by 90 offset 0, -0.5 font small"
      : "\(file) using (\(start)):1:2 with labels right offset -0.7, 0 font small"
  }
}

/// A number in readable form, with about three digits.
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
