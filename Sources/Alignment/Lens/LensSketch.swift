public import LinearAlgebra

/// Directions of output space in which averaged Jacobians J_0 … J_{L−1} are measured: a basis W whose span should
/// contain most of their ranges, and probes of the space outside it.
///
/// The adjoint of every prompt's map K = [J_0 … J_{L−1}] is applied to the rows of `cotangents`, M = [W; Ω (I − Wᵀ W)
/// / √q] with Gaussian Ω (q, d). For any J, this gives ‖W J‖_F² exactly, and q⁻¹ ‖Ω (I − Wᵀ W) J‖_F² has the mean ‖(I
/// − Wᵀ W) J‖_F²: so ‖M J‖_F² is an unbiased estimate of ‖J‖_F², which is exact if W is a basis of the whole space.
/// Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 53, 2011 (sections 4 and 5).
public struct LensSketch: Equatable, Sendable {
  /// W (s, d), with orthonormal rows.
  public let basis: Matrix<Double>
  /// Ω (I − Wᵀ W) / √q (q, d); no rows if W spans the whole space.
  public let probes: Matrix<Double>

  /// A sketch of the whole space, which leaves nothing out.
  public init(width: Int) {
    self.init(basis: .identity(width), probes: Matrix(rows: 0, columns: width))
  }

  /// A sketch of the span of samples (rows) of the ranges, or of the whole space if there are d or more, and of
  /// `probes` directions outside it, drawn with a seed.
  public init(range samples: Matrix<Double>, probes count: Int, seed: UInt64) {
    precondition(count > 0, "without probes the error cannot be estimated")
    guard samples.rows < samples.columns else {
      self.init(width: samples.columns)
      return
    }
    let basis = samples.orthonormalizedRows()
    var generator = SeededGenerator(seed: seed)
    let omega = generator.normalMatrix(rows: count, columns: samples.columns)
    let inside = Matrix.product(.product(omega, .none, basis, .transposed), .none, basis)
    var outside = omega - inside
    let scale = 1 / Double(count).squareRoot()
    for i in outside.elements.indices { outside.elements[i] *= scale }
    self.init(basis: basis, probes: outside)
  }

  /// Creates a sketch from its stored parts. Precondition: all rows have the same length.
  public init(basis: Matrix<Double>, probes: Matrix<Double>) {
    precondition(basis.columns == probes.columns, "basis and probes have different widths")
    (self.basis, self.probes) = (basis, probes)
  }

  /// The width d.
  public var width: Int { basis.columns }

  /// M (s + q, d).
  public var cotangents: Matrix<Double> {
    Matrix(
      rows: basis.rows + probes.rows, columns: width, elements: basis.elements + probes.elements)
  }

  /// Whether the sketch is of the whole space.
  public var isDense: Bool { probes.rows == 0 }
}
