import LinearAlgebra

/// The record of a program's single run: for every active value its size and the primitive that computed it.
///
/// Position 0 is the input. Constants are not on it.
package final class Trace<Scalar: RealScalar> {
  /// The primitive of each position; nil at position 0.
  private(set) var primitives: [(any Primitive<Scalar>)?] = [nil]
  private(set) var counts: [Int]
  /// The factors held constant besides the program's constants.
  let rules: LinearizationRules

  init(inputCount: Int, rules: LinearizationRules) { (counts, self.rules) = ([inputCount], rules) }

  /// Appends a value computed by a primitive and returns it as an active variable.
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
  /// A variable with `value`, which a primitive computes from one variable; a constant if that is one.
  ///
  /// `step` creates the primitive, given the input's position on the trace.
  public init(
    _ value: Matrix<Scalar>, of input: Variable, by step: (Int) -> any Primitive<Scalar>
  ) {
    // Called only if some input is on a trace.
    self.init(value, of: [input]) { step($0[0]!) }
  }

  /// A variable with `value`, which a primitive computes from several variables; a constant if they all are.
  ///
  /// `step` creates the primitive, given each input's position on the trace, nil for a constant. Precondition: the
  /// inputs belong to one program.
  public init(
    _ value: Matrix<Scalar>, of inputs: [Variable],
    by step: ([Int?]) -> any Primitive<Scalar>
  ) {
    self.init(value)
    guard let trace = Self.trace(of: inputs) else { return }
    self = trace.record(step(inputs.map(\.position)), rows: rows, columns: columns, value: buffer)
  }

  /// The trace that the active inputs of a primitive are on; nil if all are constants.
  ///
  /// Positions are meaningless on another trace, so a primitive of several inputs must find its trace here.
  /// Precondition: all belong to one program. To use a variable of an outer program, or of an earlier one, take its
  /// `detached` form, which is a constant.
  static func trace(of inputs: Variable?...) -> Trace<Scalar>? { trace(of: inputs) }

  fileprivate static func trace(of inputs: [Variable?]) -> Trace<Scalar>? {
    var found: Trace<Scalar>?
    for case let input? in inputs {
      guard let trace = input.node?.trace else { continue }
      precondition(
        found == nil || found === trace,
        "variables of two calls of linearize meet; make one of them constant with `detached`")
      found = trace
    }
    return found
  }
}
