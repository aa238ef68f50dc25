import LinearAlgebra

/// A causal convolution of each feature by itself over the tokens of a sequence:
///
///     y_τ[c] = b[c] + Σᵢ w[c, i] x_{τ−K+1+i}[c],  0 ≤ i < K,
///
/// x being 0 before the first token. A token's features reach that token and the K − 1 after it.
public struct CausalConvolution<Scalar: RealScalar> {
  /// Tokens K under the kernel.
  public let width: Int
  /// w (features, K), the token's own weight last.
  public let weights: [Scalar]
  /// b, one number per feature, if any.
  public let bias: [Scalar]?

  /// A convolution; its arguments are its properties.
  public init(width: Int, weights: [Scalar], bias: [Scalar]? = nil) {
    precondition(width > 0 && weights.count % width == 0, "\(width) weights per feature")
    precondition(bias.map { $0.count * width == weights.count } ?? true, "one bias per feature")
    (self.width, self.weights, self.bias) = (width, weights, bias)
  }

  /// y_τ = x_τ.
  public static func identity(features: Int) -> CausalConvolution {
    CausalConvolution(width: 1, weights: Array(repeating: 1, count: features))
  }

  /// The convolution of some rows of x, the tokens of one sequence: y at `token` of feature c.
  @inline(__always)
  fileprivate func value(_ x: Variable<Scalar>, _ rows: Range<Int>, _ c: Int, at token: Int)
    -> Scalar
  {
    var sum = bias?[c] ?? 0
    for i in max(0, width - 1 - token)..<width {
      let row = rows.lowerBound + token - width + 1 + i
      sum += weights[c * width + i] * x.buffer.base[c * x.rows + row]
    }
    return sum
  }
}

/// The features of all tokens of one sequence at one place of a program, as constants.
public final class TokenFeatures<Scalar: RealScalar> {
  /// Holds the tokens of this sequence among its rows.
  let variable: Variable<Scalar>
  let rows: Range<Int>

  /// The tokens in `rows`. Precondition: the variable is a constant.
  public init(_ variable: Variable<Scalar>, rows: Range<Int>) {
    precondition(!variable.isActive, "cached features are constants: `detached`")
    (self.variable, self.rows) = (variable, rows)
  }
}

/// The tokens whose features depend on one token's through a causal convolution, as far as a later token asks about them.
public struct TokenReach: Sendable {
  /// The token whose features may change.
  public let source: Int
  /// Ascending; the last one is the token that asks, whether it is reached or not.
  public let tokens: [Int]

  /// From the source over `width` tokens, not beyond the target, and the target.
  public init(source: Int, target: Int, width: Int) {
    self.source = source
    let last = min(target, source + width - 1)
    var tokens = source <= target ? Array(source...last) : []
    if tokens.last != target { tokens.append(target) }
    self.tokens = tokens
  }
}

/// The convolution of some sequences, evaluated: the rows of x, a constant, are their tokens.
@_specialize(where Scalar == Float)
@_specialize(where Scalar == Double)
public func sequenceConvolution<Scalar: RealScalar>(
  _ x: Variable<Scalar>, sequences: [Range<Int>], by convolution: CausalConvolution<Scalar>
) -> Variable<Scalar> {
  precondition(!x.isActive, "a whole sequence's convolution is evaluated only: `detached`")
  precondition(x.columns * convolution.width == convolution.weights.count, "one kernel a feature")
  let out = Buffer<Scalar>(count: x.count)
  for rows in sequences {
    for c in 0..<x.columns {
      for token in 0..<rows.count {
        out.base[c * x.rows + rows.lowerBound + token] = convolution.value(x, rows, c, at: token)
      }
    }
  }
  return Variable(rows: x.rows, columns: x.columns, buffer: out)
}

/// The convolution at the tokens of each reach, one after another, as a function of the features x of each reach's source,
/// one row per reach; the other tokens' features are constants of `sequences`, which also supply the primal of the source's.
@_specialize(where Scalar == Float)
@_specialize(where Scalar == Double)
public func selectedConvolution<Scalar: RealScalar>(
  _ x: Variable<Scalar>, reaches: [TokenReach], sequences: [TokenFeatures<Scalar>],
  by convolution: CausalConvolution<Scalar>
) -> Variable<Scalar> {
  precondition(reaches.count == x.rows && sequences.count == x.rows, "one reach a row")
  precondition(x.columns * convolution.width == convolution.weights.count, "one kernel a feature")
  let count = reaches.reduce(0) { $0 + $1.tokens.count }
  let out = Buffer<Scalar>(count: count * x.columns)
  var places: [ReachStep<Scalar>.Place] = []
  for (r, (reach, sequence)) in zip(reaches, sequences).enumerated() {
    for token in reach.tokens {
      let lag = token - reach.source
      for c in 0..<x.columns {
        out.base[c * count + places.count] = convolution.value(
          sequence.variable, sequence.rows, c, at: token)
      }
      let isReached = (0..<convolution.width).contains(lag)
      places.append(.init(row: r, weight: isReached ? convolution.width - 1 - lag : nil))
    }
  }
  guard let site = x.node else {
    return Variable(rows: count, columns: x.columns, buffer: out)
  }
  let step = ReachStep(
    input: site.position, rows: x.rows, columns: x.columns, convolution: convolution,
    places: places)
  return site.trace.record(step, rows: count, columns: x.columns, value: out)
}

/// dy_τ[c] = w[c, K − 1 − (τ − s)] dx_s[c] at every token τ that the source s reaches.
private struct ReachStep<Scalar: RealScalar>: Primitive {
  /// A row of the result.
  struct Place {
    /// The source's row.
    let row: Int
    /// Which weight of the kernel; nil at a token that is not reached.
    let weight: Int?
  }

  let input: Int
  let rows: Int
  let columns: Int
  let convolution: CausalConvolution<Scalar>
  let places: [Place]

  var inputs: [Int] { [input] }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    let (x, b) = (workspace.slot(input), workspace.vectors)
    for c in 0..<columns {
      for (k, place) in places.enumerated() {
        let target = out + (c * places.count + k) * b
        let weight = place.weight.map { convolution.weights[c * convolution.width + $0] } ?? 0
        axpy(weight, x + (c * rows + place.row) * b, target, b, false)
      }
    }
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let (x, b) = (workspace.accumulator(of: input), workspace.vectors)
    for c in 0..<columns {
      for (k, place) in places.enumerated() {
        guard let weight = place.weight else { continue }
        axpy(
          convolution.weights[c * convolution.width + weight],
          cotangent + (c * places.count + k) * b, x + (c * rows + place.row) * b, b, true)
      }
    }
  }
}
