import LinearAlgebra

/// The record of a program run once: for every active value its size and the primitive that made it.
///
/// Position 0 is the input. Constants are not on it.
package final class Trace<Scalar: RealScalar> {
  /// nil at position 0.
  private(set) var primitives: [(any Primitive<Scalar>)?] = [nil]
  private(set) var counts: [Int]

  init(inputCount: Int) { counts = [inputCount] }

  /// Appends the value a primitive made; what comes back is active.
  package func record(
    _ primitive: any Primitive<Scalar>, rows: Int, columns: Int, value: Buffer<Scalar>
  ) -> Variable<Scalar> {
    primitives.append(primitive)
    counts.append(rows * columns)
    return Variable(
      rows: rows, columns: columns, buffer: value, site: (self, primitives.count - 1))
  }
}
