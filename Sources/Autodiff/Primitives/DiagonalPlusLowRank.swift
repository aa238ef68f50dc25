import LinearAlgebra

/// The derivative of a normalisation at a point: per row, J = diag(d) + Σₖ pₖ qₖᵀ.
///
/// RMSNorm and soft-max have one such term, LayerNorm two. The features may be divided into `groups` of equal size
/// (heads) that are normalised separately; J is then block diagonal. The adjoint swaps p and q.
struct DiagonalPlusLowRank<Scalar: RealScalar>: Primitive {
  let input: Int
  let rows: Int
  /// The number of features of one group.
  let columns: Int
  let groups: Int
  let diagonal: Buffer<Scalar>
  let terms: [(p: Buffer<Scalar>, q: Buffer<Scalar>)]

  var inputs: [Int] { [input] }
  var scratchCount: Int { rows }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func jvp(_ workspace: Workspace<Scalar>, into out: UnsafeMutablePointer<Scalar>) {
    apply(workspace, workspace.slot(input), into: out, accumulating: false, adjoint: false)
  }

  @_specialize(where Scalar == Float)
  @_specialize(where Scalar == Double)
  func vjp(_ workspace: Workspace<Scalar>, _ cotangent: UnsafePointer<Scalar>) {
    let (target, accumulating) = workspace.target(of: input)
    apply(workspace, cotangent, into: target, accumulating: accumulating, adjoint: true)
  }

  private func apply(
    _ workspace: Workspace<Scalar>, _ x: UnsafePointer<Scalar>,
    into y: UnsafeMutablePointer<Scalar>, accumulating: Bool, adjoint: Bool
  ) {
    let b = workspace.vectors
    scaleTangents(
      by: diagonal.base, x, into: y, count: diagonal.count, tangents: b, accumulating: accumulating)
    for term in terms {
      let (p, q) = adjoint ? (term.q, term.p) : (term.p, term.q)
      for g in 0..<groups {
        let start = g * columns * rows
        dotTangents(
          q.base + start, x + start * b, into: workspace.scratch, columns: columns, rows: rows,
          tangents: b)
        addRankOne(
          p.base + start, workspace.scratch, into: y + start * b, columns: columns, rows: rows,
          tangents: b)
      }
    }
  }
}
