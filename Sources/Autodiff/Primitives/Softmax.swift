import LinearAlgebra

extension Variable {
  /// The soft-max eˣⁱ / Σⱼ eˣʲ over the features of every row.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public func softmax() -> Variable {
    // dp = p ∘ dx − p (p · dx)
    let p = Buffer<Scalar>(count: count)
    let negative = Buffer<Scalar>(count: count)
    for row in 0..<rows {
      var largest = -Scalar.infinity
      for c in 0..<columns { largest = max(largest, buffer.base[c * rows + row]) }
      var total: Scalar = 0
      for c in 0..<columns {
        let e = Scalar.exp(buffer.base[c * rows + row] - largest)
        p.base[c * rows + row] = e
        total += e
      }
      for c in 0..<columns {
        p.base[c * rows + row] /= total
        negative.base[c * rows + row] = -p.base[c * rows + row]
      }
    }
    guard let node else { return Variable(rows: rows, columns: columns, buffer: p) }
    let step = DiagonalPlusLowRank(
      input: node.position, rows: rows, columns: columns, groups: 1, diagonal: p,
      terms: [(negative, p)])
    return node.trace.record(step, rows: rows, columns: columns, value: p)
  }
}
