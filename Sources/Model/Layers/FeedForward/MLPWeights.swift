import Autodiff
import LinearAlgebra

/// An MLP as stored: down(φ(up x)), or down(φ(gate x) ∘ up x).
public struct MLPWeights: FeedForward {
  /// The maps from the width of the stream to the hidden layer.
  public enum Inner: Sendable {
    /// One map, in an MLP without a gate.
    case up(LinearWeights)
    /// Separate maps to gate and up.
    case gated(gate: LinearWeights, up: LinearWeights)
    /// One matrix for both, with the indices of each among its outputs.
    case fused(LinearWeights, gate: [Int], up: [Int])
  }

  /// How gate and up are combined.
  public enum Gating: Sendable {
    /// φ(gate) ∘ up.
    case product
    /// g σ(slope · g) ∘ (u + 1), with g = min(gate, limit) and u = up clamped to ± limit, as in gpt-oss.
    case clamped(slope: Double, limit: Double)
  }

  /// The maps to the hidden layer.
  public var inner: Inner
  /// The map back to the width of the stream.
  public var down: LinearWeights
  /// The activation φ.
  public var activation: Activation
  /// How gate and up are combined, if there is a gate.
  public var gating: Gating

  /// Creates an MLP from its properties.
  public init(
    _ inner: Inner, down: LinearWeights, activation: Activation, gating: Gating = .product
  ) {
    (self.inner, self.down, self.activation, self.gating) = (inner, down, activation, gating)
  }

  /// Creates an MLP of two or three matrices.
  public init(
    gate: LinearWeights? = nil, up: LinearWeights, down: LinearWeights, activation: Activation
  ) {
    self.init(
      gate.map { .gated(gate: $0, up: up) } ?? .up(up), down: down, activation: activation)
  }

  /// The output for every row of x.
  public func callAsFunction<S: RealScalar>(_ x: Variable<S>) -> Variable<S> {
    switch inner {
    case .up(let up): return down(up(x).activated(by: activation))
    case .gated(let gate, let up): return down(gated(gate(x), up(x)))
    case .fused(let both, let gate, let up):
      let y = both(x)
      return down(gated(y.gather(columns: gate), y.gather(columns: up)))
    }
  }

  /// The member's hidden units.
  public func part(_ slice: Slice) -> (any FeedForward)? {
    let (units, isFirst) = slice.share(of: down.inputs, unit: down.inputUnit)
    if units.isEmpty { return EmptyPart() }
    guard let inner = inner.part(units) else { return nil }
    var part = self
    (part.inner, part.down) = (inner, down.inputs(units, keepsBias: isFirst))
    return part
  }

  private func gated<S: RealScalar>(_ gate: Variable<S>, _ up: Variable<S>) -> Variable<S> {
    switch gating {
    case .product: return gate.activated(by: activation).asGate * up
    case .clamped(let slope, let limit):
      let (a, limit) = (S(slope), S(limit))
      let swish = gate.map { x in
        let g = min(x, limit)
        let (s, slope) = Activation.logistic(a * g)
        return (g * s, x > limit ? 0 : s + a * g * slope)
      }
      return swish.asGate * up.map { x in (min(max(x, -limit), limit) + 1, abs(x) > limit ? 0 : 1) }
    }
  }
}

extension MLPWeights.Inner {
  /// The maps to some units of the hidden layer; nil if they cannot be divided.
  fileprivate func part(_ units: Range<Int>) -> MLPWeights.Inner? {
    switch self {
    case .up(let up): return up.outputUnit == 1 ? .up(up.outputs(units)) : nil
    case .gated(let gate, let up):
      guard gate.outputUnit == 1, up.outputUnit == 1 else { return nil }
      return .gated(gate: gate.outputs(units), up: up.outputs(units))
    case .fused(let both, let gate, let up):
      guard both.outputUnit == 1 else { return nil }
      let lists = [Array(gate[units]), Array(up[units])]
      if let parts = both.views(of: lists) { return .gated(gate: parts[0], up: parts[1]) }
      let (view, places) = both.view(covering: lists)
      return .fused(view, gate: places[0], up: places[1])
    }
  }
}
