import LinearAlgebra

/// The record of a program run once: for every active value its size and the primitive that made it.
///
/// Position 0 is the input. Constants are not on it.
package final class Trace<Scalar: RealScalar> {
  /// nil at position 0.
  private(set) var primitives: [(any Primitive<Scalar>)?] = [nil]
  private(set) var counts: [Int]
  /// What is held constant besides the program's constants.
  let rules: LinearizationRules

  init(inputCount: Int, rules: LinearizationRules) { (counts, self.rules) = ([inputCount], rules) }

  /// Appends the value a primitive made; what comes back is active.
  package func record(
    _ primitive: any Primitive<Scalar>, rows: Int, columns: Int, value: Buffer<Scalar>
  ) -> Variable<Scalar> {
    primitives.append(primitive)
    counts.append(rows * columns)
    return Variable(
      rows: rows, columns: columns, buffer: value, node: (self, primitives.count - 1))
  }
}

extension Variable {
  /// `value`, which a primitive has made of one variable; a constant if that is one.
  ///
  /// `step` makes the primitive, told the input's position on the trace.
  public init(
    _ value: Matrix<Scalar>, of input: Variable, by step: (Int) -> any Primitive<Scalar>
  ) {
    // It is asked only when some input is on a trace.
    self.init(value, of: [input]) { step($0[0]!) }
  }

  /// `value`, which a primitive has made of several variables; a constant if they all are.
  ///
  /// `step` makes the primitive, told each input's position on the trace, nil for a constant. Precondition: the inputs are
  /// of one program.
  public init(
    _ value: Matrix<Scalar>, of inputs: [Variable],
    by step: ([Int?]) -> any Primitive<Scalar>
  ) {
    self.init(value)
    guard let trace = Self.trace(of: inputs) else { return }
    self = trace.record(step(inputs.map(\.position)), rows: rows, columns: columns, value: buffer)
  }

  /// The trace that the active ones among a primitive's inputs are on; nil when all are constants.
  ///
  /// Positions mean nothing on another trace, so a primitive of several inputs finds its trace here and nowhere else.
  /// Precondition: one program. An outer program's variable inside an inner one, or one kept from an earlier program, is
  /// held constant by `detached`, which says so.
  static func trace(of inputs: Variable?...) -> Trace<Scalar>? { trace(of: inputs) }

  fileprivate static func trace(of inputs: [Variable?]) -> Trace<Scalar>? {
    var found: Trace<Scalar>?
    for case let input? in inputs {
      guard let trace = input.node?.trace else { continue }
      precondition(
        found == nil || found === trace,
        "variables of two calls of linearize meet; hold one of them constant with `detached`")
      found = trace
    }
    return found
  }
}
