import Autodiff
import LinearAlgebra
import Testing

/// J v against (f(x + h v) − f(x − h v)) / 2h in double precision.
///
/// Truncation is h² |f‴| / 6, rounding about ε |f| / h; with h = 10⁻⁵ both are below 10⁻¹⁰ times third derivatives and
/// values of size up to 10³ here: 10⁻⁶ relative to 1 + ‖J v‖ leaves room and still catches any wrong factor.
@Test(arguments: Program.all, [1, 3]) func jvpIsTheDirectionalDerivative(
  program: Program, rows: Int
) {
  let x = program.point(rows: rows, seed: 7)
  let fixed = Variable(x)
  var generator = SeededGenerator(seed: 9)
  let v = generator.normalMatrix(rows: rows, columns: program.columns)
  let h = 1e-5
  let moved = { (sign: Double) -> Matrix<Double> in
    let point = Matrix(
      rows: x.rows, columns: x.columns,
      elements: zip(x.elements, v.elements).map { $0 + sign * h * $1 })
    return program(Variable(point), fixed: fixed).value
  }
  var difference = moved(1) - moved(-1)
  difference.elements = difference.elements.map { $0 / (2 * h) }
  let exact = program.linearized(at: x).jvp(v)
  #expect((exact - difference).frobeniusNorm < 1e-6 * (1 + exact.frobeniusNorm))
}

/// The value of a linearization equals that of the plain evaluation to the bit, since both run the same code.
@Test(arguments: Program.all) func linearizationKeepsTheValue(program: Program) {
  let x = program.point(rows: 3, seed: 7)
  #expect(program.linearized(at: x).value == program(Variable(x), fixed: Variable(x)).value)
}
