public import LinearAlgebra

/// Refines triplets that were found with a less precise operator.
///
/// They become the start block of a block Golub–Kahan process that assumes nothing else about them. As the space
/// begins where the other solve ended, a step or two suffices. Further triplets are refined and measured with them.
/// The certificate of the other solve is valid for this operator up to the other one's noise, which is added.
public struct TripletRefinement: Sendable {
  /// The largest residual norm accepted, relative to σ₁.
  public var tolerance: Double
  /// The most products of the block each way before residual norms are measured.
  public var steps: Int
  /// The seed of the vectors that replace dependent ones.
  public var seed: UInt64

  /// Creates a refinement with these settings.
  public init(tolerance: Double, steps: Int = 12, seed: UInt64 = 0) {
    self.tolerance = tolerance
    self.steps = steps
    self.seed = seed
  }

  /// The triplets of `base` that the found ones lead to; those were found with an operator that differs from it by
  /// some noise. The report counts the products of both solves.
  ///
  /// Throws `OperatorError` if a product is not finite. Precondition: the operator has the shape of the triplets.
  public func refined(
    _ found: SingularTriplets, by base: any LinearOperator, noise: OperatorNoise? = nil
  ) throws -> SingularTriplets {
    let a = CheckedOperator(base, isTall: true)
    let count = found.singularValues.count
    let all = count + (found.further?.singularValues.count ?? 0)
    var process = BlockBidiagonalization(
      of: a, startingWith: a.inputSpace.part(of: found.vectors(isLeft: a.isTransposed)), seed: seed)
    var (step, goal) = (0, tolerance)
    var ritz: RitzTriplets
    repeat {
      repeat {
        try process.expand(by: a)
        if !process.isComplete { try process.expand(by: a) }
        step += 1
        ritz = try process.ritzTriplets(all)
      } while !isWithin(goal, ritz, count) && step < steps && !process.isComplete
      ritz = try RitzTriplets(
        right: ritz.right, a.inputSpace,
        products: a.products(.forward, of: ritz.right, width: all), a.outputSpace)
      ritz.measure(adjointProducts: try a.products(.adjoint, of: ritz.left, width: all))
      goal *= 0.3
    } while !isWithin(tolerance, ritz, count) && step < steps && !process.isComplete
    var result = triplets(ritz, found, a, dimension: process.right.count)
    result.certificate?.outside += (noise?.products ?? 0) * ritz.values[0]
    return result
  }

  private func isWithin(_ tolerance: Double, _ ritz: RitzTriplets, _ count: Int) -> Bool {
    ritz.residualNorms.prefix(count).allSatisfy { $0 <= tolerance * ritz.values[0] }
  }

  private func triplets(
    _ ritz: RitzTriplets, _ found: SingularTriplets, _ a: CheckedOperator, dimension: Int
  ) -> SingularTriplets {
    let (count, all) = (found.singularValues.count, ritz.values.count)
    let whole = a.isTransposed ? ritz.gathered.flipped : ritz.gathered
    let (left, right) = (whole.left, whole.right)
    let residuals = ritz.residualNorms
    let worst = residuals.prefix(count).max() ?? 0
    var report = found.report
    report.converged = residuals.prefix(count).count { $0 <= tolerance * ritz.values[0] }
    report.outcome =
      report.converged == count
      ? .converged
      : .stopped(
        Stop(.rounding, residual: worst / ritz.values[0], remedy: "raise tolerance above that"))
    report.tolerance = tolerance
    report.applications.jvp += a.applications[0].jvp
    report.applications.vjp += a.applications[0].vjp
    report.applications.passes += a.applications[0].passes
    report.subspaceDimension = max(report.subspaceDimension, dimension)
    let deflated = residuals.prefix(found.certificate?.deflated ?? 0)
    var certificate = found.certificate
    certificate?.residualNorm = deflated.reduce(0) { $0 + $1 * $1 }.squareRoot()
    var refined = SingularTriplets(
      singularValues: Array(ritz.values.prefix(count)), leftVectors: left.prefix(count),
      rightVectors: right.prefix(count), residualNorms: Array(residuals.prefix(count)),
      report: report,
      further: all > count
        ? FurtherTriplets(
          singularValues: Array(ritz.values[count...]), leftVectors: left.rows(count..<all),
          rightVectors: right.rows(count..<all), residualNorms: Array(residuals[count...])) : nil,
      certificate: certificate)
    refined.products = whole.products
    return refined
  }
}

extension SingularTriplets {
  /// All left or right vectors: those requested, then the further ones.
  fileprivate func vectors(isLeft: Bool) -> Matrix<Double> {
    let asked = isLeft ? leftVectors : rightVectors
    guard let further else { return asked }
    let beyond = isLeft ? further.leftVectors : further.rightVectors
    return Matrix(
      rows: asked.rows + beyond.rows, columns: asked.columns,
      elements: asked.elements + beyond.elements)
  }
}
