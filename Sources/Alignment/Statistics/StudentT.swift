import RealModule

/// Tails and quantiles of Student's distribution.
public enum StudentT {
  /// P(|T| ≥ |t|) with ν degrees of freedom: I_x(ν/2, 1/2) at x = ν/(ν + t²).
  public static func twoSidedP(t: Double, degreesOfFreedom nu: Int) -> Double {
    guard t.isFinite else { return t.isNaN ? .nan : 0 }
    let sum = Double(nu) + t * t
    return incompleteBeta(Double(nu) / sum, t * t / sum, Double(nu) / 2, 0.5)
  }

  /// The t with P(|T| ≤ t) = level at ν ≥ 1 degrees of freedom.
  ///
  /// Computed by bisection, since P(|T| ≥ t) decreases with t, down to adjacent floating-point numbers.
  public static func quantile(level: Double, degreesOfFreedom nu: Int) -> Double {
    precondition(level > 0 && level < 1 && nu >= 1, "level outside (0, 1) or no degrees of freedom")
    var (low, high) = (0.0, 1.0)
    while twoSidedP(t: high, degreesOfFreedom: nu) > 1 - level { (low, high) = (high, 2 * high) }
    while true {
      let middle = low + (high - low) / 2
      guard middle > low, middle < high else { return middle }
      if twoSidedP(t: middle, degreesOfFreedom: nu) > 1 - level {
        low = middle
      } else {
        high = middle
      }
    }
  }

  /// P(|T| ≥ |t|) for t = r (ν/(1 − r²))^½, where ν/(ν + t²) is exactly 1 − r².
  static func twoSidedP(
    oneMinusRSquared: Double, rSquared: Double, degreesOfFreedom nu: Int
  ) -> Double {
    incompleteBeta(oneMinusRSquared, rSquared, Double(nu) / 2, 0.5)
  }
}

/// The regularised incomplete beta function I_x(a, b) for a, b > 0 and x in [0, 1].
///
///     I_x(a, b) = x^a (1 − x)^b / (a B(a, b)) · 1/(1 + d₁/(1 + d₂/(1 + …)))
///     d_{2m+1} = −(a + m)(a + b + m) x / ((a + 2m)(a + 2m + 1)),    d_{2m} = m (b − m) x / ((a + 2m − 1)(a + 2m))
///
/// The continued fraction converges fast for x < (a + 1)/(a + b + 2); beyond it I_x(a, b) = 1 − I_{1−x}(b, a) is used.
/// NIST Digital Library of Mathematical Functions, 8.17.22; evaluated forwards (Lentz 1976).
public func incompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
  incompleteBeta(x, 1 - x, a, b)
}

/// The same for given x and y = 1 − x, since near x = 1 the difference has lost its digits.
private func incompleteBeta(_ x: Double, _ y: Double, _ a: Double, _ b: Double) -> Double {
  precondition(a > 0 && b > 0, "the parameters of a beta function must be positive")
  guard x > 0 else { return x.isNaN ? .nan : 0 }
  guard y > 0 else { return 1 }
  return x <= (a + 1) / (a + b + 2)
    ? betaFraction(x, y, a, b) : 1 - betaFraction(y, x, b, a)
}

/// I_x(a, b) by its continued fraction, x + y = 1.
private func betaFraction(_ x: Double, _ y: Double, _ a: Double, _ b: Double) -> Double {
  let logarithm =
    a * .log(x) + b * .log(y) - (.logGamma(a) + .logGamma(b) - .logGamma(a + b))
  // Numerators C and denominators D of successive convergents, each relative to the previous one.
  let tiny = Double.leastNormalMagnitude
  var (c, d, fraction) = (1.0, 0.0, 1.0)
  for step in 1...10_000 {
    let m = Double(step / 2)
    let coefficient =
      step % 2 == 0
      ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
      : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 + coefficient * d
    d = 1 / (abs(d) < tiny ? tiny : d)
    c = 1 + coefficient / c
    c = abs(c) < tiny ? tiny : c
    fraction *= c * d
    if abs(c * d - 1) < 2 * .ulpOfOne { break }
  }
  return .exp(logarithm) / (a * fraction)
}
