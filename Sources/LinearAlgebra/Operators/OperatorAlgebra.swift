// Operators made of operators, written as in formulas. Nothing here applies an operator; the types returned document
// the cost of an application.

extension LinearOperator {
  /// Aᵀ.
  public var adjoint: AdjointOperator { AdjointOperator(self) }

  /// A B, which applies `b` first. Precondition: A's inputs are as long as B's outputs.
  public func composed(with b: any LinearOperator) -> ComposedOperator {
    ComposedOperator([self, b])
  }

  /// c A.
  public func scaled(by c: Double) -> ScaledOperator { ScaledOperator(self, by: c) }

  /// A + c I. Precondition: A is square.
  public func shifted(by c: Double) -> ShiftedOperator { ShiftedOperator(self, by: c) }

  /// I + A: the whole block, if A is its residual Jacobian. Precondition: A is square.
  public var plusIdentity: ShiftedOperator { shifted(by: 1) }

  /// A − I. Precondition: A is square.
  public var minusIdentity: ShiftedOperator { shifted(by: -1) }

  /// A from some rows of its input to some rows of its output, both seen as row-major matrices; nil selects all rows.
  public func restricted(
    inputRows: RowSelection? = nil, outputRows: RowSelection? = nil
  ) -> RestrictedOperator {
    RestrictedOperator(self, inputRows: inputRows, outputRows: outputRows)
  }
}

/// A + B. Precondition: both have the same shape.
public func + (a: any LinearOperator, b: any LinearOperator) -> SumOperator { SumOperator([a, b]) }

/// A − B. Precondition: both have the same shape.
public func - (a: any LinearOperator, b: any LinearOperator) -> SumOperator {
  SumOperator([a, b], weights: [1, -1])
}

/// −A.
public prefix func - (a: any LinearOperator) -> ScaledOperator { a.scaled(by: -1) }

/// c A.
public func * (c: Double, a: any LinearOperator) -> ScaledOperator { a.scaled(by: c) }

/// A B, which applies B first. Precondition: A's inputs are as long as B's outputs.
public func * (a: any LinearOperator, b: any LinearOperator) -> ComposedOperator {
  a.composed(with: b)
}
