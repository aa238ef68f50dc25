/// A path for which a trajectory metric is not defined.
public enum TrajectoryError: Error, Equatable, Sendable, CustomStringConvertible {
  /// There are fewer than two states, so no step.
  case noBlocks
  /// Every step of this token is zero, so the path has no direction.
  case noSteps(token: Int)
  /// ‖x^l‖ = 0, which has no logarithm.
  case zeroNorm(layer: Int, token: Int)
  /// A state contains NaN or infinity.
  case notFinite(layer: Int, token: Int)

  /// What is wrong and what to do.
  public var description: String {
    switch self {
    case .noBlocks:
      "a trajectory needs the states before and after at least one block"
    case .noSteps(let token):
      "token \(token) is left unchanged by every block, so its path has no shape; leave it out"
    case .zeroNorm(let layer, let token):
      "the state of token \(token) at layer \(layer) is zero, so its growth is not defined; leave it out"
    case .notFinite(let layer, let token):
      "the state of token \(token) at layer \(layer) is not finite; check the weights of that block"
    }
  }
}
