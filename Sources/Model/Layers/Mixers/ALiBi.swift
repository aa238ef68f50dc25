import Foundation
import LinearAlgebra

/// Attention with linear biases instead of positions (ALiBi). Press, Smith, Lewis, arXiv 2108.12409.
public enum ALiBi {
  /// One slope per head: 2^(−8 i / n), i = 1…n, if n is a power of two; for other numbers of heads those of the power
  /// of two below, then every second one of the power above.
  public static func slopes(heads: Int) -> [Double] {
    let power = { (n: Int) in (1...n).map { exp2(-8 * Double($0) / Double(n)) } }
    var n = 1
    while 2 * n <= heads { n *= 2 }
    let between = stride(from: 0, to: 2 * (heads - n), by: 2).map { power(2 * n)[$0] }
    return power(n) + between
  }

  /// The bias slope · (key − query), which is added to a scaled score.
  public static func bias(heads: Int) -> @Sendable (_ head: Int, _ query: Int, _ key: Int) -> Double
  {
    let slopes = slopes(heads: heads)
    return { head, query, key in slopes[head] * Double(key - query) }
  }

  /// Falcon's bias slope · key, with both factors and their product rounded to bfloat16, scaled like the scores.
  /// Because of the rounding it depends on where the sequence begins.
  public static func roundedBias(
    heads: Int, scale: Double
  ) -> @Sendable (_ head: Int, _ query: Int, _ key: Int) -> Double {
    let slopes = slopes(heads: heads).map(bfloat16)
    return { head, _, key in scale * bfloat16(slopes[head] * bfloat16(Double(key))) }
  }

  /// Rounds to the nearest number of 8 significant bits, ties to even.
  private static func bfloat16(_ x: Double) -> Double {
    guard x != 0 else { return 0 }
    let unit = Double(sign: .plus, exponent: x.exponent - 7, significand: 1)
    return (x / unit).rounded(.toNearestOrEven) * unit
  }
}
