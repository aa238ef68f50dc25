import LinearAlgebra

extension Variable {
  /// g ∘ (x − μ) · r + β with μ = mean(x), r = (variance(x) + ε)^(−½), row by row. Ba, Kiros, Hinton, arXiv 1607.06450.
  ///
  /// `gain` and `bias` have one number per feature; nil stands for ones and zeros (the non-parametric norm). `groups`
  /// is that of `rmsNorm`.
  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  public func layerNorm(
    gain: [Scalar]?, bias: [Scalar]?, epsilon: Scalar, groups: Int = 1
  ) -> Variable {
    let n = columns / groups
    precondition(n * groups == columns, "the groups must divide the features evenly")
    precondition(gain == nil || gain!.count == n, "one gain per feature")
    precondition(bias == nil || bias!.count == n, "one bias per feature")
    // dy = g r dx − g r (1 · dx) / n − (g (x − μ) r³ / n) ((x − μ) · dx)
    let buffers = (0..<6).map { _ in Buffer<Scalar>(count: count) }
    let (out, d, p1, q1, p2, q2) = (
      buffers[0], buffers[1], buffers[2], buffers[3], buffers[4], buffers[5]
    )
    for group in 0..<groups {
      for row in 0..<rows {
        var sum = 0.0
        for c in 0..<n { sum += Double(buffer.base[(group * n + c) * rows + row]) }
        let mean = sum / Double(n)
        var squares = 0.0
        for c in 0..<n {
          let x = Double(buffer.base[(group * n + c) * rows + row]) - mean
          squares += x * x
        }
        let r = 1 / (squares / Double(n) + Double(epsilon)).squareRoot()
        let cubed = Scalar(-r * r * r / Double(n))
        for c in 0..<n {
          let i = (group * n + c) * rows + row
          let (x, g) = (Scalar(Double(buffer.base[i]) - mean), gain?[c] ?? 1)
          d.base[i] = g * Scalar(r)
          out.base[i] = d.base[i] * x + (bias?[c] ?? 0)
          p1.base[i] = -d.base[i]
          q1.base[i] = 1 / Scalar(n)
          p2.base[i] = g * x * cubed
          q2.base[i] = x
        }
      }
    }
    guard let node else { return Variable(rows: rows, columns: columns, buffer: out) }
    let step = DiagonalPlusLowRank(
      input: node.position, rows: rows, columns: n, groups: groups, diagonal: d,
      terms: rules.holdsNorms ? [(p1, q1)] : [(p1, q1), (p2, q2)])
    return node.trace.record(step, rows: rows, columns: columns, value: out)
  }
}
