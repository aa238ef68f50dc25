import Autodiff
import LinearAlgebra

/// Which residual function of a block is differentiated.
public enum JacobianSite: String, Sendable, CaseIterable, Codable {
  /// X ↦ F(X) − X at the block's input.
  case block
  /// X ↦ Z − X at the block's input, Z the state after the attention half.
  case attention
  /// Z ↦ F − Z at Z (at X in a parallel block).
  case mlp
}

/// The residual Jacobian J = ∂f(X)_{t2} / ∂x_{t1} (width, width) of a block, as a linear map: row = output coordinate at
/// the target t2, column = input coordinate at the source t1, all other tokens held fixed.
///
/// For t1 = t2 it is ∂F/∂x − I, otherwise ∂F/∂x. Several selections, of one prompt or of many, become the rows of one
/// linearization, whose Jacobian is block diagonal: one reading of the weights serves them all. Precondition: all go from
/// a token to itself, or none does. Aubry et al., arXiv 2407.07810.
///
/// With `normed`, f is finalNorm(F(X)), of which the identity is subtracted for t1 = t2. Precondition: at the site of the
/// whole block only; no norm follows half of one.
public func residualJacobian<Scalar: RealScalar>(
  _ model: some Transformer, at point: BlockPoint<Scalar>,
  _ selections: [(prompt: Int, tokens: TokenSelection)], site: JacobianSite = .block,
  normed: Bool = false
) -> Linearization<Scalar> {
  precondition(!normed || site == .block, "the final norm follows a whole block")
  let block = model.block(point.layer)
  let isSingle = selections[0].tokens.source == selections[0].tokens.target
  precondition(
    selections.allSatisfy { ($0.tokens.source == $0.tokens.target) == isSingle },
    "all from a token to itself, or none")
  let context = point.context(
    selections.map { ($0.prompt, [$0.tokens.source], [$0.tokens.target]) })
  let sources = point.rows(selections.map { ($0.prompt, $0.tokens.source) })
  let targets = Variable(point.rows(selections.map { ($0.prompt, $0.tokens.target) }))
  let stream = { (x: Variable<Scalar>) in
    isSingle ? ResidualStream(x) : ResidualStream(source: x, target: targets)
  }
  switch site {
  case .attention: return linearize({ block.attention(stream($0), in: context) }, at: sources)
  case .block:
    return linearize(
      { x in
        let update = block.update(stream(x), in: context)
        guard normed else { return update }
        let output = model.finalNorm(stream(x).target + update)
        return isSingle ? output - x : output
      }, at: sources)
  case .mlp:
    let z =
      block.isParallel ? targets : targets + block.attention(ResidualStream(targets), in: context)
    // The MLP acts token by token: nothing goes from one token to another.
    guard isSingle else { return linearize({ _ in block.mlp(z, in: context) }, at: sources) }
    return linearize({ block.mlp($0, in: context) }, at: z.value)
  }
}
