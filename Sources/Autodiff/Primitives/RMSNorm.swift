import LinearAlgebra

extension Variable {
  /// g ∘ x · r with r = (mean(x²) + ε)^(−½), row by row. Zhang, Sennrich, arXiv 1910.07467.
  ///
  /// `gain` has one number per feature; nil stands for ones. With `groups` > 1 the features are divided into that
  /// many equal parts, which are normalised separately with the same `gain` (the query and key norms of heads).
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public func rmsNorm(gain: [Scalar]?, epsilon: Scalar, groups: Int = 1) -> Variable {
    let n = columns / groups
    precondition(n * groups == columns, "the groups must divide the features evenly")
    precondition(gain == nil || gain!.count == n, "one gain per feature")
    // y = g r x;  dy = g r dx − (g x r³ / n) (x · dx)
    let (out, d, p) = (
      Buffer<Scalar>(count: count), Buffer<Scalar>(count: count), Buffer<Scalar>(count: count)
    )
    for group in 0..<groups {
      for row in 0..<rows {
        var squares = 0.0
        for c in 0..<n {
          let x = Double(buffer.base[(group * n + c) * rows + row])
          squares += x * x
        }
        let r = 1 / (squares / Double(n) + Double(epsilon)).squareRoot()
        let cubed = Scalar(-r * r * r / Double(n))
        for c in 0..<n {
          let i = (group * n + c) * rows + row
          let (x, g) = (buffer.base[i], gain?[c] ?? 1)
          d.base[i] = g * Scalar(r)
          // Rounded once: an error in r would affect all features alike, and scores would add it up.
          out.base[i] = Scalar(Double(g) * r * Double(x))
          p.base[i] = g * x * cubed
        }
      }
    }
    guard let node else { return Variable(rows: rows, columns: columns, buffer: out) }
    let step = DiagonalPlusLowRank(
      input: node.position, rows: rows, columns: n, groups: groups, diagonal: d,
      terms: rules.holdsNorms ? [] : [(p, buffer)])
    return node.trace.record(step, rows: rows, columns: columns, value: out)
  }
}
