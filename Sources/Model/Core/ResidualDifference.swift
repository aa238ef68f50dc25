import Autodiff
import LinearAlgebra

/// J v of a residual Jacobian by finite differences of the block evaluated on the whole sequence, independent of all
/// derivative rules and cached keys and values.
///
/// v is a unit direction of the source token's state. With the central difference
///
///     D(h) = (f(x + h v) − f(x − h v)) / 2h = J v + O(h²),    h from 8 ε^⅓ ‖x‖ downwards,
///
/// D(2h) − D(h) is three times the leading term of D(h)'s truncation error and, where rounding dominates, about as
/// large as the error of D(h); it is counted twice. A lower bound of the rounding of x and f is added, divided by h:
/// 64 ε of ‖x‖ (1 + ‖D‖) + ‖f‖. Where a step crosses a kink (ReLU) or changes the choice of experts, the differences
/// disagree, and smaller steps are tried. Returns the D(h) with the least error, and that error. Cost: five
/// evaluations of the block for the whole prompt, four of them together; at worst seventeen.
public func residualDifference(
  _ model: some Transformer, at point: BlockPoint<Double>, prompt p: Int, tokens: TokenSelection,
  site: JacobianSite = .block, normed: Bool = false, along v: [Double]
) -> (derivative: [Double], error: Double) {
  let function = SequenceFunction(model, point, prompt: p, tokens, site, normed)
  let length = max(Matrix([Array(function.input.row(tokens.source))]).frobeniusNorm, 0x1p-1000)
  let size = length + Matrix(function.values(at: [0], along: v)).frobeniusNorm
  var best: (derivative: [Double], error: Double) = ([], .infinity)
  var h = 0x1p-14 * length
  for _ in 0..<4 {
    let f = function.values(at: [h, -h, 2 * h, -2 * h], along: v)
    let near = zip(f[0], f[1]).map { ($0 - $1) / (2 * h) }
    let far = zip(f[2], f[3]).map { ($0 - $1) / (4 * h) }
    let (derivative, disagreement) = (Matrix([near]), Matrix([far]) - Matrix([near]))
    let rounding = 64 * Double.ulpOfOne * (size + length * derivative.frobeniusNorm) / h
    let error = 2 * disagreement.frobeniusNorm + rounding
    if error < best.error { best = (near, error) }
    if error < 10 * rounding { break }
    h /= 8
  }
  return best
}

/// The output of a block's site at one token as a function of another token's state, evaluated for all tokens.
private struct SequenceFunction<Model: Transformer> {
  let model: Model
  let point: BlockPoint<Double>
  let p: Int
  let tokens: TokenSelection
  let site: JacobianSite
  let normed: Bool
  /// The input of the site (tokens, width): X, or Z for the MLP.
  private(set) var input: Matrix<Double>

  init(
    _ model: Model, _ point: BlockPoint<Double>, prompt p: Int, _ tokens: TokenSelection,
    _ site: JacobianSite, _ normed: Bool
  ) {
    (self.model, self.point, self.p, self.tokens) = (model, point, p, tokens)
    (self.site, self.normed) = (site, normed)
    input = point.states.rows(point.prompts[p])
    let block = model.block(point.layer)
    guard site == .mlp, !block.isParallel else { return }
    let x = Variable(input)
    input = (x + block.attention(ResidualStream(x), in: context(copies: 1))).value
  }

  /// f at x + step · v for each of the steps, computed together as copies of the prompt.
  func values(at steps: [Double], along v: [Double]) -> [[Double]] {
    var all = Matrix(
      rows: steps.count * input.rows, columns: input.columns,
      elements: steps.flatMap { _ in input.elements })
    for (copy, step) in steps.enumerated() {
      for (i, x) in v.enumerated() { all[copy * input.rows + tokens.source, i] += step * x }
    }
    let (x, context) = (Variable(all), context(copies: steps.count))
    let block = model.block(point.layer)
    let update =
      switch site {
      case .attention: block.attention(ResidualStream(x), in: context)
      case .block: block.update(ResidualStream(x), in: context)
      case .mlp: block.mlp(x, in: context)
      }
    let targets = steps.indices.map { $0 * input.rows + tokens.target }
    var result = Variable(gather(update.value, targets))
    if normed {
      let x = Variable(gather(all, targets))
      result = model.finalNorm(x + result)
      if tokens.source == tokens.target { result = result - x }
    }
    return targets.indices.map { Array(result.value.row($0)) }
  }

  private func context(copies: Int) -> AttentionContext<Double> {
    let count = input.rows
    let side = point.sideRows((0..<count).map { (p, $0) })
    return AttentionContext(
      prompts: (0..<copies).map { $0 * count..<($0 + 1) * count },
      encoderOutputs: point.encoderOutputs.isEmpty
        ? [] : Array(repeating: point.encoderOutputs[p], count: copies),
      earlier: point.earlier.flatMap { Array(repeating: $0.caches[p], count: copies) },
      sideInput: side.map {
        Matrix(
          rows: copies * $0.rows, columns: $0.columns,
          elements: Array(repeating: $0.elements, count: copies).flatMap { $0 })
      })
  }
}
