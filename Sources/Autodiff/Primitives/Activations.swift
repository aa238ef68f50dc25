import LinearAlgebra

/// The activation functions of transformers, each with its derivative.
public enum Activation: Hashable, Sendable {
  /// x · logistic(x). Elfwing, Uchibe, Doya, arXiv 1702.03118.
  case silu
  /// x Φ(x), with Φ the normal distribution function, computed by erf. Hendrycks, Gimpel, arXiv 1606.08415.
  case gelu
  /// GELU in its tanh approximation, as in GPT-2.
  case geluTanh
  /// x · logistic(1.702 x).
  case quickGELU
  /// max(x, 0), with derivative 0 at 0.
  case relu
  /// max(x, 0)².
  case reluSquared
  /// tanh x.
  case tanh
  /// 1 / (1 + e⁻ˣ).
  case logistic
  /// log(1 + eˣ).
  case softplus
  /// xIELU, whose curvatures are learned.
  case xielu(XIELU)

  /// φ(x) and φ′(x).
  public func callAsFunction<S: RealScalar>(_ x: S) -> (value: S, derivative: S) {
    switch self {
    case .silu:
      let s = Self.sigma(x)
      return (x * s, s * (1 + x * (1 - s)))
    case .quickGELU:
      let a: S = 1.702
      let s = Self.sigma(a * x)
      return (x * s, s * (1 + a * x * (1 - s)))
    case .gelu:
      // Φ′(x) = e^(−x²/2) / √(2π)
      let distribution = (1 + S.erf(x * S(0.5).squareRoot())) / 2
      let density = S.exp(-x * x / 2) / (2 * S.pi).squareRoot()
      return (x * distribution, distribution + x * density)
    case .geluTanh:
      // ½ x (1 + tanh t), t = √(2/π) (x + 0.044715 x³)
      let a = (2 / S.pi).squareRoot()
      let c: S = 0.044715
      let t = S.tanh(a * (x + c * x * x * x))
      return ((1 + t) * x / 2, (1 + t) / 2 + x / 2 * (1 - t * t) * a * (1 + 3 * c * x * x))
    // This order of the comparison lets a NaN through.
    case .relu: return x <= 0 ? (0, 0) : (x, 1)
    case .reluSquared: return x <= 0 ? (0, 0) : (x * x, 2 * x)
    case .tanh:
      let t = S.tanh(x)
      return (t, 1 - t * t)
    case .logistic:
      let s = Self.sigma(x)
      return (s, s * (1 - s))
    case .softplus: return (max(x, 0) + S.log(onePlus: S.exp(-abs(x))), Self.sigma(x))
    case .xielu(let function): return function(x)
    }
  }

  /// The logistic function, computed without overflow on either side.
  private static func sigma<S: RealScalar>(_ x: S) -> S {
    if x >= 0 { return 1 / (1 + S.exp(-x)) }
    let e = S.exp(x)
    return e / (1 + e)
  }
}

/// xIELU: α⁺ x² + β x for x > 0, and α⁻ (e^min(x, ε) − 1 − x) + β x otherwise. Huang, Schlag, arXiv 2411.13010.
public struct XIELU: Hashable, Sendable {
  /// The curvatures α⁺ and α⁻.
  public let positive, negative: Double
  /// β, the slope at 0.
  public let slope: Double
  /// ε, a little below 0.
  public let limit: Double

  /// The function given by stored parameters: their softplus is α⁺ and, after adding β, α⁻.
  public init(storedPositive: Double, storedNegative: Double, slope: Double, limit: Double) {
    let softplus = Activation.softplus
    positive = softplus(storedPositive).value
    negative = slope + softplus(storedNegative).value
    (self.slope, self.limit) = (slope, limit)
  }

  /// φ(x) and φ′(x).
  public func callAsFunction<S: RealScalar>(_ x: S) -> (value: S, derivative: S) {
    let (β, ε) = (S(slope), S(limit))
    if x > 0 {
      let α = S(positive)
      return ((α * x + β) * x, 2 * α * x + β)
    }
    let α = S(negative)
    // Swift's min would drop a NaN.
    let change = S.expMinusOne(x > ε ? ε : x)
    return (α * (change - x) + β * x, α * (x > ε ? -1 : change) + β)
  }
}

extension Variable {
  /// φ(x), element by element. If gates are held, the derivative is φ(x) / x instead of φ′(x).
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public func activated(by φ: Activation) -> Variable {
    guard rules.holdsGates else { return map { φ($0) } }
    return map { x in
      let (value, derivative) = φ(x)
      return (value, x == 0 ? derivative : value / x)
    }
  }
}
