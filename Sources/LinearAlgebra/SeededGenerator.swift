import RealModule

/// SplitMix64: a small seeded generator that gives the same numbers on every machine.
///
/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// The stream that belongs to `seed`.
  public init(seed: UInt64) { state = seed }

  /// The next 64 random bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A uniform number in (0, 1).
  public mutating func uniform() -> Double { (Double(next() >> 11) + 0.5) * 0x1p-53 }

  /// A standard normal number, by the Box–Muller method.
  public mutating func normal() -> Double {
    (-2 * Double.log(uniform())).squareRoot() * Double.cos(2 * .pi * uniform())
  }

  /// Two independent standard normal numbers, by the polar method, in a quarter of the time of two of `normal()`.
  ///
  /// Marsaglia, Bray, "A convenient method for generating normal variables", SIAM Review 6, 1964.
  public mutating func normalPair() -> (Double, Double) {
    while true {
      let (x, y) = (2 * uniform() - 1, 2 * uniform() - 1)
      let square = x * x + y * y
      // Only points inside the disc count; its centre has no direction.
      guard square < 1, square > 0 else { continue }
      let factor = (-2 * Double.log(square) / square).squareRoot()
      return (factor * x, factor * y)
    }
  }

  /// A matrix of independent standard normal numbers.
  public mutating func normalMatrix(rows: Int, columns: Int) -> Matrix<Double> {
    Matrix(
      rows: rows, columns: columns, elements: (0..<rows * columns).map { _ in normal() })
  }
}
