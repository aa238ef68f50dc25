import LinearAlgebra

/// Numbers at a fixed address, shared by reference: the values of a `Variable`, and what primitives keep of them.
///
/// A value of `columns` features for `rows` rows lies feature by feature, feature c of row r at [c · rows + r], so that
/// a product with a stored matrix reads the rows as interleaved vectors.
package final class Buffer<Scalar: RealScalar> {
  package let base: UnsafeMutablePointer<Scalar>
  package let count: Int

  package init(count: Int) {
    self.count = count
    base = .allocate(capacity: max(count, 1))
  }

  deinit { base.deallocate() }
}
