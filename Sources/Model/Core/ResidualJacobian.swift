import Autodiff
import LinearAlgebra

/// The residual function of a block that is differentiated.
public enum JacobianSite: String, Sendable, CaseIterable, Codable {
  /// X ↦ F(X) − X at the block's input.
  case block
  /// X ↦ Z − X at the block's input, where Z is the state after the attention half.
  case attention
  /// Z ↦ F − Z at Z (at X in a parallel block).
  case mlp
}

/// The residual Jacobian J = ∂f(X)ₜ₂ / ∂xₜ₁ (width, width) of a block as a linear map: rows are output coordinates at
/// the target t₂, columns are input coordinates at the source t₁, and all other tokens are held.
///
/// For t₁ = t₂ it is ∂F/∂x − I, otherwise ∂F/∂x. Several selections, of one prompt or of many, become the rows of one
/// linearization, whose Jacobian is block diagonal, so that the weights are read once for all. Precondition: either
/// all selections go from a token to itself, or none does. Aubry et al., arXiv 2407.07810.
///
/// With `normed`, f is finalNorm(F(X)), from which the identity is subtracted for t₁ = t₂. Precondition: the site is
/// the whole block, since no norm follows half of one. `fusesLinearMaps` is that of `linearize`.
public func residualJacobian<Scalar: RealScalar>(
  _ model: some Transformer, at point: BlockPoint<Scalar>,
  _ selections: [(prompt: Int, tokens: TokenSelection)], site: JacobianSite = .block,
  normed: Bool = false, fusesLinearMaps: Bool = true
) -> Linearization<Scalar> {
  precondition(!normed || site == .block, "the final norm follows a whole block")
  let block = model.block(point.layer)
  let isSingle = selections[0].tokens.source == selections[0].tokens.target
  precondition(
    selections.allSatisfy { ($0.tokens.source == $0.tokens.target) == isSingle },
    "either all selections go from a token to itself, or none")
  let context = point.context(
    selections.map { ($0.prompt, [$0.tokens.source], [$0.tokens.target]) })
  let sources = point.rows(selections.map { ($0.prompt, $0.tokens.source) })
  let targets = Variable(point.rows(selections.map { ($0.prompt, $0.tokens.target) }))
  let stream = { (x: Variable<Scalar>) in
    isSingle ? ResidualStream(x) : ResidualStream(source: x, target: targets)
  }
  switch site {
  case .attention:
    return linearize(
      { block.attention(stream($0), in: context) }, at: sources, fusesLinearMaps: fusesLinearMaps)
  case .block:
    return linearize(
      { x in
        let update = block.update(stream(x), in: context)
        guard normed else { return update }
        let output = model.finalNorm(stream(x).target + update)
        return isSingle ? output - x : output
      }, at: sources, fusesLinearMaps: fusesLinearMaps)
  case .mlp:
    let z =
      block.isParallel ? targets : targets + block.attention(ResidualStream(targets), in: context)
    // The MLP acts token by token: its Jacobian from one token to another is zero.
    guard isSingle else { return linearize({ _ in block.mlp(z, in: context) }, at: sources) }
    return linearize({ block.mlp($0, in: context) }, at: z.value, fusesLinearMaps: fusesLinearMaps)
  }
}
