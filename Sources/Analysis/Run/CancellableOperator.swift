import Lanczos
import LinearAlgebra

/// An operator whose products become NaN once the user has asked to stop, which ends a solve at its next check.
final class CancellableOperator: LinearOperator {
  private let base: any LinearOperator
  private let isCancelled: () -> Bool

  init(_ base: any LinearOperator, isCancelled: @escaping () -> Bool) {
    (self.base, self.isCancelled) = (base, isCancelled)
  }

  var inputDimension: Int { base.inputDimension }
  var outputDimension: Int { base.outputDimension }
  var innerProducts: (any InnerProducts)? { base.innerProducts }

  /// Whether to stop, the same in every process that holds a part of the vectors: none waits for another's product.
  private var isStopped: Bool {
    let isStopped = isCancelled()
    return base.innerProducts?.isAny(isStopped) ?? isStopped
  }

  func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    guard !isStopped else { return y.update(repeating: .nan) }
    base.apply(v, into: &y, vectors: b)
  }

  func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    guard !isStopped else { return x.update(repeating: .nan) }
    base.applyAdjoint(u, into: &x, vectors: b)
  }
}

/// Operators that share applications, likewise.
final class CancellableBatch: BatchedOperator {
  private let base: any BatchedOperator
  private let isCancelled: () -> Bool

  init(_ base: any BatchedOperator, isCancelled: @escaping () -> Bool) {
    (self.base, self.isCancelled) = (base, isCancelled)
  }

  var batch: Int { base.batch }
  var inputDimension: Int { base.inputDimension }
  var outputDimension: Int { base.outputDimension }
  var innerProducts: (any InnerProducts)? { base.innerProducts }

  private var isStopped: Bool {
    let isStopped = isCancelled()
    return base.innerProducts?.isAny(isStopped) ?? isStopped
  }

  func member(_ p: Int) -> any LinearOperator {
    CancellableOperator(base.member(p), isCancelled: isCancelled)
  }

  func apply(
    _ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) {
    guard !isStopped else { return y.update(repeating: .nan) }
    base.apply(v, into: &y, vectors: b, active: active)
  }

  func applyAdjoint(
    _ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int, active: [Int]
  ) {
    guard !isStopped else { return x.update(repeating: .nan) }
    base.applyAdjoint(u, into: &x, vectors: b, active: active)
  }
}

/// What happened in a solve, without the advice for authors of operators.
func failureReason(_ error: any Error) -> String {
  switch error {
  case let error as OperatorError: error.reason
  case let error as SolverError: error.reason
  default: "\(error)"
  }
}
