import Foundation

/// Commands for the sides and axes of a panel.
enum Axis {
  /// A panel between these shares of the figure, from its lower left corner.
  static func panel(x: ClosedRange<Double>, y: ClosedRange<Double>) -> String {
    "set lmargin at screen \(x.lowerBound); set rmargin at screen \(x.upperBound); "
      + "set bmargin at screen \(y.lowerBound); set tmargin at screen \(y.upperBound)"
  }

  /// `[a:b]` around some numbers with room at both ends; never empty.
  static func range(_ values: some Sequence<Double?>, isLogarithmic: Bool = false) -> String {
    let known = values.compactMap { $0 }.filter { $0.isFinite && !(isLogarithmic && $0 <= 0) }
    guard let low = known.min(), let high = known.max() else {
      return isLogarithmic ? "[0.1:10]" : "[0:1]"
    }
    if isLogarithmic {
      let room = max(pow(high / low, 0.06), 1.1)
      return "[\(low / room):\(high * room)]"
    }
    let room = high > low ? 0.06 * (high - low) : max(0.1 * abs(high), 1e-6)
    return "[\(low - room):\(high + room)]"
  }

  /// The same, and a round distance of marks of which at most `most` fit.
  static func linear(
    _ values: some Sequence<Double?>, most: Int = 5
  ) -> (range: String, step: String) {
    let known = values.compactMap { $0 }.filter(\.isFinite)
    let extent = 1.12 * ((known.max() ?? 1) - (known.min() ?? 0))
    guard extent > 0, extent.isFinite else { return (range(known), "auto") }
    let least = extent / Double(most)
    let scale = pow(10, floor(log10(least)))
    let step = [1, 2, 5, 10].map { $0 * scale }.first { $0 >= least } ?? 10 * scale
    return (range(known), "\(step)")
  }

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

/// A number for people, about three digits of it.
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
