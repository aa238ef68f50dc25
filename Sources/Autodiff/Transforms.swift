import LinearAlgebra

/// Runs `f` once at x and saves what its derivative there needs: record once, apply many times.
///
/// Cost: one evaluation of f. Memory: the saved values of f's steps, about as much as reverse mode always needs.
/// `rules` say which factors are held constant. With `fusesLinearMaps`, linear maps of one and the same row whose outputs are
/// scaled and added, as in a gated MLP, become one matrix in single precision, which is formed at the first application: it
/// costs as much as a product with about two vectors, and 4 bytes per weight of one of them, and saves one of two products in
/// every application. A matrix of more than 64 MB is formed only in applications to more than `Engine.independentVectors` vectors, a
/// portion of its rows at a time. The attention of a single row to few tokens is then applied as three small matrices that are formed in the
/// same way (`AttentionMaps`). Precondition: variables of other programs, outer or earlier, are used in their `detached` form.
public func linearize<Scalar: RealScalar>(
  _ f: (Variable<Scalar>) throws -> Variable<Scalar>, at x: Matrix<Scalar>,
  rules: LinearizationRules = LinearizationRules(), fusesLinearMaps: Bool = false
) rethrows -> Linearization<Scalar> {
  let trace = Trace<Scalar>(inputCount: x.rows * x.columns, rules: rules)
  let constant = Variable(x)
  let input = Variable(
    rows: x.rows, columns: x.columns, buffer: constant.buffer, node: (trace, 0))
  let output = try f(input)
  precondition(
    output.node.map { $0.trace === trace } ?? true,
    "f returned a variable of another call of linearize; make it constant with `detached`")
  return Linearization(
    trace: trace, input: (x.rows, x.columns), output: output,
    fusesLinearMaps: fusesLinearMaps)
}

/// f(x) and J v in one call: a directional derivative. For more than one v, `linearize` is cheaper.
public func jvp<Scalar: RealScalar>(
  _ f: (Variable<Scalar>) throws -> Variable<Scalar>, at x: Matrix<Scalar>,
  tangent: Matrix<Scalar>
) rethrows -> (value: Matrix<Scalar>, tangent: Matrix<Scalar>) {
  let linearization = try linearize(f, at: x)
  return (linearization.value, linearization.jvp(tangent))
}

/// f(x) and Jᵀ u in one call; for a scalar f and u = 1, the gradient.
public func vjp<Scalar: RealScalar>(
  _ f: (Variable<Scalar>) throws -> Variable<Scalar>, at x: Matrix<Scalar>,
  cotangent: Matrix<Scalar>
) rethrows -> (value: Matrix<Scalar>, cotangent: Matrix<Scalar>) {
  let linearization = try linearize(f, at: x)
  return (linearization.value, linearization.vjp(cotangent))
}
