import Autodiff
import LinearAlgebra
import Model

/// Left and right singular vectors, each a row.
struct SingularVectors {
  let left: Matrix<Double>
  let right: Matrix<Double>
}

/// A Jacobian of a finished run, linearized again in double precision, with what the run recorded about it.
struct RecomputedJacobian {
  /// What the record says.
  let record: LayerRecord
  /// The prompt, from 1.
  let prompt: Int
  /// J at the point reached in double precision.
  let jacobian: Linearization<Double>
  /// The stored vectors, which are rounded to single precision.
  let vectors: SingularVectors
  /// An upper bound on the distance ‖E v‖ between J and the operator that the run applied, for leading vectors v.
  let noise: Double

  /// The change of a unit vector when it is rounded to single precision.
  static let storage = 0x1p-24

  /// The Jacobian with its record and stored vectors.
  init(
    _ record: LayerRecord, prompt: Int, _ jacobian: Linearization<Double>,
    _ vectors: SingularVectors, tolerance: Double
  ) {
    (self.record, self.prompt, self.jacobian, self.vectors) = (record, prompt, jacobian, vectors)
    let first = record.singularValues.first ?? 0
    // What is computed here in double precision is accurate to some thousands of ε. If the run has measured no noise, it is
    // allowed the default tolerance, below which single precision need not get.
    noise = first * (record.noise.map { $0.products + 1e-12 } ?? max(tolerance, 1e-5))
  }

  /// The recorded σ₁.
  var first: Double { record.singularValues.first ?? 0 }

  /// Whether values, vectors and residual norms have the same number.
  var isWhole: Bool {
    [vectors.left.rows, record.residualNorms.count].allSatisfy {
      $0 == record.singularValues.count
    }
  }

  /// A finding about this Jacobian.
  func finding(
    _ kind: CheckKind, rank: Int? = nil, recorded: Double? = nil, found: Double?,
    difference: Double?, limit: Double
  ) -> VerificationFinding {
    VerificationFinding(
      kind: kind, prompt: prompt, layer: record.layer, fromToken: record.fromToken,
      toToken: record.toToken, rank: rank, reading: nil, recorded: recorded, found: found,
      difference: difference, limit: limit)
  }

  // MARK: Checks

  /// Checks the stored triplets against J.
  func checkTriplets(values: [Double], _ tally: inout VerificationTally) {
    let sigma = record.singularValues
    for (i, value) in values.prefix(sigma.count).enumerated() {
      tally.add(
        finding(
          .storedValues, rank: i + 1, recorded: sigma[i], found: value,
          difference: abs(value - sigma[i]), limit: Self.storage * sigma[i]))
    }
    let (forward, backward) = (jacobian.apply(vectors.right), jacobian.applyAdjoint(vectors.left))
    for (i, s) in sigma.enumerated() {
      let found = max(
        Self.distance(forward.row(i), s, vectors.left.row(i)),
        Self.distance(backward.row(i), s, vectors.right.row(i)))
      let recorded = record.residualNorms[i]
      // ‖J v − σ u‖ and ‖(J + E) v − σ u‖ differ by ‖E v‖; vectors in the file by two roundings, of ‖J δv‖ and σ ‖δu‖.
      tally.add(
        finding(
          .residualNorms, rank: i + 1, recorded: recorded, found: found,
          difference: abs(found - recorded), limit: noise + 2 * Self.storage * first))
    }
    for vectors in [vectors.left, vectors.right] {
      let gram = vectors.gram()
      for i in 0..<gram.rows {
        let defect = (0..<gram.columns).map { abs(gram[i, $0] - (i == $0 ? 1 : 0)) }.max() ?? 0
        // Two roundings of 2⁻²⁴ in each product; twice that.
        tally.add(
          finding(
            .orthonormality, rank: i + 1, found: defect, difference: defect,
            limit: 4 * Self.storage))
      }
    }
  }

  private static func distance(
    _ product: ArraySlice<Double>, _ s: Double, _ vector: ArraySlice<Double>
  ) -> Double {
    zip(product, vector).reduce(0) {
      let difference = $1.0 - s * $1.1
      return $0 + difference * difference
    }.squareRoot()
  }

  /// Checks Jᵀ against J, and J against finite differences of the block's function, which `difference` takes along a direction.
  func checkDerivative(
    _ generator: inout SeededGenerator, _ tally: inout VerificationTally,
    difference: ([Double]) -> (derivative: [Double], error: Double)
  ) {
    let v = Self.unit(jacobian.inputDimension, &generator)
    let u = Self.unit(jacobian.outputDimension, &generator)
    let (jv, jtu) = (jacobian.apply(v), jacobian.applyAdjoint(u))
    let size = jv.frobeniusNorm + jtu.frobeniusNorm
    let defect = abs(
      zip(u.elements, jv.elements).reduce(0) { $0 + $1.0 * $1.1 }
        - zip(v.elements, jtu.elements).reduce(0) { $0 + $1.0 * $1.1 })
    // Sums of up to 10⁵ terms, each rounded by ε; a wrong adjoint differs by 1/√n of the size.
    tally.add(
      finding(
        .adjoint, found: defect, difference: defect,
        limit: 1e5 * Double.ulpOfOne * (size + first)))
    let (derivative, error) = difference(v.elements)
    guard derivative.count == jv.elements.count, error <= 1e-2 * (jv.frobeniusNorm + 1e-6 * first)
    else {
      tally.leaveOut(
        "a finite difference: the block's function has a kink within every step (ReLU, a choice of experts), "
          + "or its derivative is lost in rounding")
      return
    }
    let distance = Self.distance(jv.row(0), 1, derivative[...])
    tally.add(
      finding(
        .finiteDifference, found: distance, difference: distance, limit: error))
  }

  private static func unit(_ n: Int, _ generator: inout SeededGenerator) -> Matrix<Double> {
    var v = generator.normalMatrix(rows: 1, columns: n)
    let norm = v.frobeniusNorm
    for i in v.elements.indices { v.elements[i] /= norm }
    return v
  }

  /// Forms J, decomposes it, and checks the recorded values against its largest ones, counting multiplicity.
  func checkAgainstDense(_ tally: inout VerificationTally) throws {
    let dense = try jacobian.materialized().singularValueDecomposition()
    let sigma = record.singularValues
    // Without recorded bounds, Weyl's bound is used, from the residuals of all triplets together with J itself.
    let weyl = record.residualNorms.reduce(0) {
      $0 + ($1 + noise) * ($1 + noise)
    }.squareRoot()
    for (i, (s, value)) in zip(sigma, dense.values).enumerated() {
      let limit = record.bound.flatMap { i < $0.count ? $0[i] : nil } ?? weyl
      tally.add(
        finding(
          .singularValues, rank: i + 1, recorded: s, found: value,
          difference: abs(s - value), limit: limit))
    }
    // The certificate's bound on the largest value that was not found.
    guard let certificate = record.certificate, certificate.deflated < dense.values.count else {
      return
    }
    let beyond = dense.values[certificate.deflated]
    tally.add(
      finding(
        .singularValues, rank: certificate.deflated + 1, recorded: certificate.outside,
        found: beyond, difference: max(0, beyond - certificate.outside),
        limit: certificate.residualNorm + noise))
  }
}
