import LinearAlgebra

/// A causal convolution over the tokens of a sequence, separate for each feature:
///
///     y_τ[c] = b[c] + Σᵢ w[c, i] x_{τ−K+1+i}[c],  0 ≤ i < K,
///
/// with x = 0 before the first token. A token's features influence that token and the K − 1 after it.
public struct CausalConvolution<Scalar: RealScalar> {
  /// K, the number of tokens under the kernel.
  public let width: Int
  /// w (features, K); the last weight is for the token itself.
  public let weights: [Scalar]
  /// b, one number per feature; nil for none.
  public let bias: [Scalar]?

  /// Creates a convolution from its properties.
  public init(width: Int, weights: [Scalar], bias: [Scalar]? = nil) {
    precondition(width > 0 && weights.count % width == 0, "\(width) weights per feature")
    precondition(bias.map { $0.count * width == weights.count } ?? true, "one bias per feature")
    (self.width, self.weights, self.bias) = (width, weights, bias)
  }

  /// The identity, y_τ = x_τ.
  public static func identity(features: Int) -> CausalConvolution {
    CausalConvolution(width: 1, weights: Array(repeating: 1, count: features))
  }

  /// Feature c of y at `token`, where x are rows of the tokens of one sequence.
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

/// The features of all tokens of one sequence at one point of a program, as constants.
public final class TokenFeatures<Scalar: RealScalar> {
  /// The variable whose rows include the tokens of this sequence.
  let variable: Variable<Scalar>
  let rows: Range<Int>

  /// The features of the tokens in `rows`. Precondition: the variable is a constant.
  public init(_ variable: Variable<Scalar>, rows: Range<Int>) {
    precondition(!variable.isActive, "cached features are constants: `detached`")
    (self.variable, self.rows) = (variable, rows)
  }
}

/// The convolution of some sequences, evaluated only: the rows of x, which is a constant, are their tokens.
@_specialize(where Scalar == Float)
@_specialize(where Scalar == Double)
public func sequenceConvolution<Scalar: RealScalar>(
  _ x: Variable<Scalar>, sequences: [Range<Int>], by convolution: CausalConvolution<Scalar>
) -> Variable<Scalar> {
  precondition(!x.isActive, "a whole sequence's convolution is evaluated only: `detached`")
  precondition(x.columns * convolution.width == convolution.weights.count, "one kernel per feature")
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

/// The convolution at the tokens of each reach, one after another, as a function of the features x of its sources,
/// one row per source. The features of other tokens are constants of `sequences`, one for each reach, which also
/// supply the primal of the sources.
@_specialize(where Scalar == Float)
@_specialize(where Scalar == Double)
public func selectedConvolution<Scalar: RealScalar>(
  _ x: Variable<Scalar>, reaches: [TokenReach], sequences: [TokenFeatures<Scalar>],
  by convolution: CausalConvolution<Scalar>
) -> Variable<Scalar> {
  precondition(
    reaches.reduce(0) { $0 + $1.sources.count } == x.rows && sequences.count == reaches.count,
    "one row per source of a reach")
  precondition(x.columns * convolution.width == convolution.weights.count, "one kernel per feature")
  let count = reaches.reduce(0) { $0 + $1.tokens.count }
  let out = Buffer<Scalar>(count: count * x.columns)
  var first = 0
  for (reach, sequence) in zip(reaches, sequences) {
    for c in 0..<x.columns {
      for (place, token) in reach.tokens.enumerated() {
        out.base[c * count + first + place] = convolution.value(
          sequence.variable, sequence.rows, c, at: token)
      }
    }
    first += reach.tokens.count
  }
  guard let site = x.node else {
    return Variable(rows: count, columns: x.columns, buffer: out)
  }
  let step = ReachStep(
    input: site.position, rows: x.rows, reached: count, columns: x.columns,
    convolution: convolution, runs: runs(of: reaches, width: convolution.width))
  return site.trace.record(step, rows: count, columns: x.columns, value: out)
}

/// Consecutive rows of x and of the convolution that are linked by the same weight.
private struct Run {
  var source: Int
  var reached: Int
  var count: Int
  /// The number of tokens from the source to the output token.
  let lag: Int
}

private func runs(of reaches: [TokenReach], width: Int) -> [Run] {
  var runs: [Run] = []
  var (source, reached) = (0, 0)
  for reach in reaches {
    let places = Dictionary(uniqueKeysWithValues: zip(reach.tokens, reach.tokens.indices))
    for lag in 0..<width {
      for (k, token) in reach.sources.enumerated() {
        guard let place = places[token + lag] else { continue }
        let next = Run(source: source + k, reached: reached + place, count: 1, lag: lag)
        if let last = runs.last, last.lag == lag, last.source + last.count == next.source,
          last.reached + last.count == next.reached
        {
          runs[runs.count - 1].count += 1
        } else {
          runs.append(next)
        }
      }
    }
    source += reach.sources.count
    reached += reach.tokens.count
  }
  return runs
}

/// dy_τ[c] = Σ_s w[c, K − 1 − (τ − s)] dx_s[c] over the sources s for which τ − s < K.
private struct ReachStep<Scalar: RealScalar>: Primitive {
  let input: Int
  /// The number of rows of x.
  let rows: Int
  /// The number of rows of the convolution.
  let reached: Int
  let columns: Int
  let convolution: CausalConvolution<Scalar>
  let runs: [Run]

  var inputs: [Int] { [input] }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    nonisolated(unsafe) let (step, x, y) = (self, workspace.slot(input), out)
    let b = workspace.vectors
    inParts(columns, size: reached * b) { part in
      for c in part {
        (y + c * step.reached * b).update(repeating: 0, count: step.reached * b)
        for run in step.runs {
          axpy(
            step.weight(c, run), x + (c * step.rows + run.source) * b,
            y + (c * step.reached + run.reached) * b, run.count * b, true)
        }
      }
    }
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    nonisolated(unsafe) let (step, x, y) = (self, workspace.accumulator(of: input), cotangent)
    let b = workspace.vectors
    inParts(columns, size: reached * b) { part in
      for c in part {
        for run in step.runs {
          axpy(
            step.weight(c, run), y + (c * step.reached + run.reached) * b,
            x + (c * step.rows + run.source) * b, run.count * b, true)
        }
      }
    }
  }

  @inline(__always)
  private func weight(_ c: Int, _ run: Run) -> Scalar {
    convolution.weights[(c + 1) * convolution.width - 1 - run.lag]
  }
}
