public import LinearAlgebra
import Weights

/// How far a square A is from normal: ‖Aᵀ A − A Aᵀ‖_F / ‖A‖_F², from 0 (normal: orthogonal eigenvectors) to √2 (A² = 0 of
/// rank one).
///
/// The commutator C = Aᵀ A − A Aᵀ is the same for A + c I with any c, and so is Henrici's departure
/// dep² = ‖A‖_F² − Σ |λ|²: pass a block's residual Jacobian J, not I + J, whose ‖I‖_F² = n would only dilute the
/// number. The two
/// are related by
///
///     dep / ‖A‖_F ≥ (1 − (1 − value² / 2)^½)^½,
///
/// so a large value proves a large departure, about which eigenvalues alone say nothing.
///
/// Both squares are estimated without bias from products. With Q orthonormal in the range of C Ω for m Gaussian
/// probes Ω,
///
///     ‖C‖_F² = ‖C Q‖_F² + E ‖C (I − Q Qᵀ) g‖²,     ‖A‖_F² = ‖A Q‖_F² + E ‖A (I − Q Qᵀ) g‖²
///
/// over m further Gaussian g; Aᵀ gives a second estimate of ‖A‖_F². Only the part outside Q has variance, at most 2/m
/// of its square. The cost is 6 m products with A and as many with Aᵀ in 12 passes; for n ≤ 4 m, n unit vectors in
/// place of the probes make the result exact.
/// Elsner, Paardekooper, "On measures of nonnormality of matrices", LAA 92, 1987; the bound follows from Kress, de Vries,
/// Wegmann, "On nonnormal matrices", LAA 8, 1974. Deflated as in Meyer et al., "Hutch++", SOSA 2021.
public struct DepartureFromNormality: Sendable, Equatable, Codable {
  /// ‖C‖_F / ‖A‖_F²; 0 for A = 0.
  public let value: Double
  /// One standard error of `value`, to first order; 0 where it is exact.
  public let standardError: Double
  /// ‖A‖_F, exact or estimated.
  public let frobeniusNorm: Double
  /// One standard error of `frobeniusNorm`.
  public let frobeniusError: Double
  /// The vectors and passes it took.
  public let applications: ApplicationCount

  /// A lower bound of Henrici's departure, over ‖A‖_F.
  public var henriciBound: Double {
    (1 - (max(0, 1 - value * value / 2)).squareRoot()).squareRoot()
  }

  /// The departure from normality of a square operator, by `probes` (m) random vectors; the same seed gives the same
  /// vectors.
  ///
  /// Throws `SolverError` unless the operator is square, `OperatorError` for NaN or a wrong adjoint.
  public init(of a: any LinearOperator, probes m: Int = 16, seed: UInt64 = 0) throws {
    guard a.inputDimension == a.outputDimension else {
      throw SolverError.notSquare(rows: a.outputDimension, columns: a.inputDimension)
    }
    try checkCount("probes", m, atLeast: 2)
    let n = a.inputDimension
    let checked = CheckedOperator(a)
    guard n > 4 * m else {
      let all = try Commutator(of: checked, on: .identity(n))
      self.init(known: all, rest: nil, applications: checked.applications[0])
      return
    }
    var generator = SeededGenerator(seed: seed)
    let sketch = try Commutator(of: checked, on: generator.normalMatrix(rows: m, columns: n))
    let basis = sketch.vectors.orthonormalizedRows()
    let known = try Commutator(of: checked, on: basis)
    let probes = generator.normalMatrix(rows: m, columns: n)
    let inside = Matrix.product(.product(probes, .none, basis, .transposed), .none, basis)
    let rest = try Commutator(of: checked, on: probes - inside)
    self.init(known: known, rest: rest, applications: checked.applications[0])
  }

  private init(known: Commutator, rest: Commutator?, applications: ApplicationCount) {
    let c = Self.mean(rest?.squares)
    let a = Self.mean(rest?.operatorSquares)
    let commutator = known.squares.reduce(0, +) + c.mean
    let norm = known.operatorSquares.reduce(0, +) + a.mean
    let value = norm > 0 ? commutator.squareRoot() / norm : 0
    self.value = value
    // The relative error of a root is half that of its square.
    let relative = (commutator > 0 ? c.error / (2 * commutator) : 0, norm > 0 ? a.error / norm : 0)
    standardError = value * (relative.0 * relative.0 + relative.1 * relative.1).squareRoot()
    frobeniusNorm = norm.squareRoot()
    frobeniusError = frobeniusNorm * relative.1 / 2
    self.applications = applications
  }

  /// The mean of some squares and its standard error; both 0 if there are none.
  private static func mean(_ squares: [Double]?) -> (mean: Double, error: Double) {
    guard let squares else { return (0, 0) }
    let count = Double(squares.count)
    let mean = squares.reduce(0, +) / count
    let sum = squares.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (mean, (sum / (count - 1) / count).squareRoot())
  }
}

/// C x = Aᵀ (A x) − A (Aᵀ x) for several vectors x.
private struct Commutator {
  /// The vectors C x, as rows.
  let vectors: Matrix<Double>
  /// ‖C x‖² for each x.
  let squares: [Double]
  /// (‖A x‖² + ‖Aᵀ x‖²) / 2 for each x.
  let operatorSquares: [Double]

  init(of a: CheckedOperator, on x: Matrix<Double>) throws {
    let width = Engine.independentVectors
    let image = try a.products(.forward, of: x, width: width)
    let back = try a.products(.adjoint, of: x, width: width)
    try a.checkAdjoint(
      v: x.prefix(1), av: image.prefix(1), u: x.prefix(1), atu: back.prefix(1))
    vectors =
      try a.products(.adjoint, of: image, width: width)
      - a.products(.forward, of: back, width: width)
    squares = vectors.rowNorms.map { $0 * $0 }
    operatorSquares = zip(image.rowNorms, back.rowNorms).map { ($0 * $0 + $1 * $1) / 2 }
  }
}
