import Autodiff
import LinearAlgebra
import Testing

private func dot<S: RealScalar>(_ a: Matrix<S>, _ b: Matrix<S>) -> Double {
  zip(a.elements, b.elements).reduce(0) { $0 + Double($1.0) * Double($1.1) }
}

/// ⟨u, J v⟩ = ⟨Jᵀ u, v⟩ for random u, v.
///
/// Each side is a chain of fewer than 10 rounding errors per term in sums of at most 32 terms, so it is off by at
/// most c ε (‖u‖ ‖J v‖ + ‖Jᵀ u‖ ‖v‖) times the growth inside the program (weights of norm about 5 in two layers): c =
/// 1000 in all, far below the O(1) error of a wrong rule.
private func adjointDefect<S: RealScalar>(_ program: Program, rows: Int, as _: S.Type) -> Double {
  let linearization = program.linearized(
    at: program.point(rows: rows, seed: 7).converted(to: S.self))
  var generator = SeededGenerator(seed: 8)
  let v = generator.normalMatrix(rows: rows, columns: program.columns).converted(to: S.self)
  let shape = linearization.outputShape
  let u = generator.normalMatrix(rows: shape.rows, columns: shape.columns).converted(to: S.self)
  let (jv, jtu) = (linearization.jvp(v), linearization.vjp(u))
  let size =
    Double(u.frobeniusNorm) * Double(jv.frobeniusNorm)
    + Double(jtu.frobeniusNorm) * Double(v.frobeniusNorm)
  return abs(dot(u, jv) - dot(jtu, v)) / max(size, 1e-300)
}

@Test(arguments: Program.all, [1, 3]) func adjointIdentity(program: Program, rows: Int) {
  #expect(adjointDefect(program, rows: rows, as: Double.self) < 1000 * Double.ulpOfOne)
  #expect(adjointDefect(program, rows: rows, as: Float.self) < 1000 * Double(Float.ulpOfOne))
}
