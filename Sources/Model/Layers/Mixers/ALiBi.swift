import Foundation
import LinearAlgebra

/// Attention with linear biases instead of positions. Press, Smith, Lewis, arXiv 2108.12409.
public enum ALiBi {
  /// One slope per head: 2^(−8 i / n), i = 1…n, for a power n of two; for other numbers of heads those of the power below,
  /// then every second one of the power above.
  public static func slopes(heads: Int) -> [Double] {
    let power = { (n: Int) in (1...n).map { exp2(-8 * Double($0) / Double(n)) } }
    var n = 1
    while 2 * n <= heads { n *= 2 }
    let between = stride(from: 0, to: 2 * (heads - n), by: 2).map { power(2 * n)[$0] }
    return power(n) + between
  }

  /// What is added to a scaled score: slope · (key − query).
  public static func bias(heads: Int) -> @Sendable (_ head: Int, _ query: Int, _ key: Int) -> Double
  {
    let slopes = slopes(heads: heads)
    return { head, query, key in slopes[head] * Double(key - query) }
  }

  /// Falcon's: slope · key, each and their product rounded to bfloat16, and scaled like the scores. Rounded, it does depend
  /// on where the sequence begins.
  public static func roundedBias(
    heads: Int, scale: Double
  ) -> @Sendable (_ head: Int, _ query: Int, _ key: Int) -> Double {
    let slopes = slopes(heads: heads).map(bfloat16)
    return { head, _, key in scale * bfloat16(slopes[head] * bfloat16(Double(key))) }
  }

  /// To the nearest number of 8 significant bits, to the even one of two.
  private static func bfloat16(_ x: Double) -> Double {
    guard x != 0 else { return 0 }
    let unit = Double(sign: .plus, exponent: x.exponent - 7, significand: 1)
    return (x / unit).rounded(.toNearestOrEven) * unit
  }
}
