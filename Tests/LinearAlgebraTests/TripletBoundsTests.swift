import Foundation
import LinearAlgebra
import TestSupport
import Testing

/// Bounds compared with true errors: operators with chosen spectra, found triplets with chosen errors, and noise.
@Suite struct TripletBoundsTests {
  private static let n = 40

  /// Spectra that decay, are clustered at the top and across K = 5, repeat values, have a gap after K or none, or are
  /// small relative to the noise.
  private static let spectra: [(name: String, values: [Double])] = [
    ("1/k", spectrum { 1 / ($0 + 1) }),
    ("geometric", spectrum { pow(0.7, $0) }),
    ("cluster at the top", spectrum { $0 < 4 ? 3 - 1e-6 * $0 : 1 / $0 }),
    (
      "cluster at the cut", spectrum { (3..<8).contains($0) ? 1 - 1e-4 * $0 : 3 / pow($0 + 1, 1.2) }
    ),
    ("pairs", spectrum { pow(0.8, ($0 / 2).rounded(.down)) }),
    ("gap", spectrum { $0 < 5 ? 2 - 0.1 * $0 : 0.1 }),
    ("flat", spectrum { 1 - 0.002 * $0 }),
    ("graded", spectrum { pow(10, -0.3 * $0) }),
  ]

  private static func spectrum(_ value: (Double) -> Double) -> [Double] {
    (0..<n).map { value(Double($0)) }.sorted(by: >)
  }

  /// An operator, the operator applied instead, and the triplets found.
  private struct Found {
    let exact: (left: Matrix<Double>, values: [Double], right: Matrix<Double>)
    let triplets: SingularTriplets
    let noise: OperatorNoise
  }

  /// The leading right vectors rotated by about `error`, later ones by more, and a Rayleigh–Ritz step in Ã = A + E.
  private static func find(
    _ values: [Double], error: Double, noise size: Double, asked: Int, found: Int, seed: UInt64
  ) throws -> Found {
    // Another seed, so that the numbers are not those of the operator.
    var random = SeededGenerator(seed: seed + 1000)
    let a = operatorWithSpectrum(values, rows: n + 3, columns: n, seed: seed).matrix
    var e = random.normalMatrix(rows: n + 3, columns: n)
    for i in e.elements.indices { e.elements[i] *= size * values[0] / Double(n).squareRoot() }
    var applied = a
    for i in a.elements.indices { applied.elements[i] += e.elements[i] }
    let exact = try a.singularValueDecomposition()
    // Rotated vectors of the operator that was applied.
    var v = try applied.singularValueDecomposition().right.prefix(found)
    for i in 0..<found {
      let turn = error * pow(1.5, Double(i)) / Double(n).squareRoot()
      for j in 0..<n { v[i, j] += turn * random.normal() }
    }
    v = v.orthonormalizedRows()
    let (rotation, sigma, u) = try Matrix.product(v, .none, applied, .transposed)
      .singularValueDecomposition()
    v = .product(rotation, .none, v)
    let x = Matrix.product(u, .none, applied)
    let residuals = (0..<found).map { i in
      (0..<n).reduce(0) { $0 + pow(x[i, $1] - sigma[i] * v[i, $1], 2) }.squareRoot()
    }
    // S: the norm of the applied operator without the found triplets.
    var rest = applied
    for i in 0..<rest.rows {
      for j in 0..<n { for c in 0..<found { rest[i, j] -= u[c, i] * sigma[c] * v[c, j] } }
    }
    for (basis, isLeft) in [(u, true), (v, false)] {
      let onto =
        isLeft
        ? Matrix.product(basis, .transposed, .product(basis, .none, rest))
        : Matrix.product(.product(rest, .none, basis, .transposed), .none, basis)
      rest = rest - onto
    }
    let outside = try rest.singularValueDecomposition().values[0]
    // The premises are satisfied exactly: ‖E‖ bounds E for all vectors, and the entries are those of E.
    let inside = Matrix.product(.product(u, .none, e), .none, v, .transposed)
    let noise = OperatorNoise(
      products: try e.singularValueDecomposition().values[0] / sigma[0],
      entries: inside.elements.map(abs).max()! / sigma[0])
    let report = ConvergenceReport(
      outcome: .converged, solver: "chosen", requested: asked, converged: asked, restarts: 0,
      applications: ApplicationCount(), subspaceDimension: found, tolerance: 1, seed: seed)
    let triplets = SingularTriplets(
      singularValues: Array(sigma.prefix(asked)), leftVectors: u.prefix(asked),
      rightVectors: v.prefix(asked), residualNorms: Array(residuals.prefix(asked)), report: report,
      further: found > asked
        ? FurtherTriplets(
          singularValues: Array(sigma[asked...]), leftVectors: u.rows(asked..<found),
          rightVectors: v.rows(asked..<found), residualNorms: Array(residuals[asked...])) : nil,
      certificate: Certificate(
        outside: outside, failureProbability: 0, deflated: found, residualNorm: 0, isProof: false))
    return Found(exact: exact, triplets: triplets, noise: noise)
  }

  /// Every bound is satisfied, for values, vectors, mixing and subspaces.
  @Test(arguments: spectra.indices, [0, 1e-8, 1e-4, 0.05])
  func hold(spectrum: Int, error: Double) throws {
    let values = Self.spectra[spectrum].values
    for (noise, found, seed) in [(0, 5, 1), (0, 12, 2), (1e-6, 12, 3), (1e-3, 8, 4)]
      as [(Double, Int, UInt64)]
    {
      let case_ = try Self.find(
        values, error: error, noise: noise, asked: 5, found: found, seed: seed)
      let (triplets, exact) = (case_.triplets, case_.exact)
      let bounds = triplets.bounds(noise: case_.noise)
      let right = triplets.rightVectors.elements + (triplets.further?.rightVectors.elements ?? [])
      let left = triplets.leftVectors.elements + (triplets.further?.leftVectors.elements ?? [])
      for (basis, truth) in [
        (Matrix(rows: found, columns: Self.n, elements: right), exact.right),
        (Matrix(rows: found, columns: Self.n + 3, elements: left), exact.left),
      ] {
        // (found, true)
        let along = Matrix.product(basis, .none, truth, .transposed)
        for a in 0..<5 {
          let sine = { (rows: Range<Int>) in
            1 - rows.reduce(0) { $0 + along[$1, a] * along[$1, a] }
          }
          // A sine computed from 1 − cos² is accurate only to √(10 ε) ≈ 5e-8.
          #expect(
            max(0, sine(0..<found)).squareRoot() <= bounds.outside[a] + 1e-7, "\(a) outside")
          #expect(max(0, sine(a..<a + 1)).squareRoot() <= bounds.vectors[a] + 1e-7, "vector \(a)")
          for b in 0..<found where b != a {
            // The true vectors are LAPACK's: off by about 20 ε over a gap of at least half of σ₁, where this matters.
            #expect(abs(along[b, a]) <= bounds.mixing[a, b] + 2e-14, "\(a) along \(b)")
          }
        }
        for k in 1...5 {
          var square = 0.0
          for a in 0..<k { square += 1 - (0..<k).reduce(0) { $0 + along[$1, a] * along[$1, a] } }
          #expect(max(0, square).squareRoot() <= bounds.subspace(k) + 1e-7, "subspace \(k)")
        }
      }
      for i in 0..<5 {
        let error = abs(triplets.singularValues[i] - exact.values[i])
        #expect(error <= bounds.values[i], "σ\(i) of \(Self.spectra[spectrum].name), \(noise)")
      }
    }
  }

  /// The bounds are useful: if a value is separated from the rest, its bound is close to the error.
  @Test(arguments: [0, 1, 5, 7])
  func areNotVacuous(spectrum: Int) throws {
    var (values, vectors): ([Double], [Double]) = ([], [])
    for seed in 0..<20 as Range<UInt64> {
      let case_ = try Self.find(
        Self.spectra[spectrum].values, error: 1e-5, noise: 0, asked: 5, found: 8, seed: seed)
      let bounds = case_.triplets.bounds()
      for i in 0..<5 {
        let sigma = case_.triplets.singularValues[i]
        values.append(
          bounds.values[i] / max(abs(sigma - case_.exact.values[i]), 1e-15 * case_.exact.values[0]))
        let cosine = zip(case_.triplets.rightVectors.row(i), case_.exact.right.row(i))
          .reduce(0) { $0 + $1.0 * $1.1 }
        let difference = zip(case_.triplets.rightVectors.row(i), case_.exact.right.row(i))
          .reduce(0) { $0 + pow($1.0 - cosine * $1.1, 2) }.squareRoot()
        vectors.append(bounds.vectors[i] / difference)
      }
    }
    // These are medians. Residual norms and gaps determine a vector's angle, so that its bound nearly equals the
    // error; the bound of a value includes the residual norms of all triplets before it, and the largest of the rest
    // for each of them.
    #expect(values.sorted()[50] < 40)
    #expect(vectors.sorted()[50] < 2)
  }

  /// A missed triplet is bounded by S: returned values are below the true ones by at most the bound.
  @Test func missedValuesAreBounded() throws {
    let values = [5, 4, 3, 2, 1, 0.5]
    let bounds = TripletBounds(
      singularValues: [5, 3, 2], residualNorms: [0, 0, 0], outside: 4)
    for i in 0..<3 {
      #expect(values[i] - [5, 3, 2][i] <= bounds.values[i])
      #expect(bounds.values[i] < [1e-11, 1 + 1e-11, 2 + 1e-11][i])
    }
    // Nothing is known about vectors whose values another triplet may have.
    #expect(bounds.vectors == [bounds.vectors[0], 1, 1])
  }

  /// Bounds do not depend on the unit of the values, within the range of floating-point numbers.
  @Test(arguments: [1e-200, 1e200]) func scale(unit: Double) {
    let bounds = { (unit: Double) in
      TripletBounds(
        singularValues: [3, 2, 1].map { $0 * unit },
        residualNorms: [1e-3, 1e-3, 1e-3].map { $0 * unit }, outside: 0.5 * unit)
    }
    for i in 0..<3 {
      #expect(abs(bounds(unit).values[i] / unit / bounds(1).values[i] - 1) < 1e-12)
      #expect(abs(bounds(unit).vectors[i] / bounds(1).vectors[i] - 1) < 1e-12)
    }
  }

  /// A zero operator, of which nothing is left out.
  @Test func zeroOperator() {
    let bounds = TripletBounds(singularValues: [0, 0], residualNorms: [0, 0], outside: 0)
    #expect(bounds.values == [0, 0])
    #expect(bounds.vectors == [1, 1])
  }
}

/// Noise, measured against a twin, and from products at another scale.
@Suite struct OperatorNoiseTests {
  private static func triplets(_ a: DenseOperator, _ count: Int) throws -> SingularTriplets {
    let (u, values, v) = try a.matrix.singularValueDecomposition()
    return SingularTriplets(
      singularValues: Array(values.prefix(count)), leftVectors: u.prefix(count),
      rightVectors: v.prefix(count), residualNorms: Array(repeating: 0, count: count),
      report: ConvergenceReport(
        outcome: .converged, solver: "chosen", requested: count, converged: count, restarts: 0,
        applications: ApplicationCount(), subspaceDimension: count, tolerance: 1, seed: 0))
  }

  /// The noise of an E of known size is measured as that size, including its entries, and is zero relative to the
  /// operator itself.
  @Test(arguments: [1, 2, 3, 10]) func againstATwin(count: Int) throws {
    let a = operatorWithSpectrum((1...50).map { 3 / Double($0) }, rows: 60, columns: 50, seed: 1)
    let found = try Self.triplets(a, count)
    var random = SeededGenerator(seed: 2)
    var matrix = a.matrix
    // Gaussian entries of size 1e-6: ‖E v‖ ≈ 1e-6 √60 and ‖Eᵀ u‖ ≈ 1e-6 √50.
    for i in matrix.elements.indices { matrix.elements[i] += 1e-6 * random.normal() }
    let noise = try OperatorNoise(of: DenseOperator(matrix), against: a, triplets: found)
    let unit = 1e-6 * OperatorNoise.safetyFactor / 3
    // Norms of 60 normal numbers vary by a tenth; the largest of a few entries is 0.05 to 4 times their deviation.
    #expect((0.8...1.6).contains(noise.products / (unit * 60.0.squareRoot())))
    let entry = 1e-6 * OperatorNoise.entryFactor / 3
    #expect((0.05...4).contains(noise.entries / entry))
    #expect(try OperatorNoise(of: a, against: a, triplets: found) == .none)
    // The products of the vectors instead of those of their combinations: the same up to rounding, 10⁻¹⁰ of E.
    let applied = DenseOperator(matrix)
    let products = TripletProducts(
      images: applied.apply(found.rightVectors),
      adjointImages: applied.applyAdjoint(found.leftVectors))
    let ofProducts = try OperatorNoise(of: products, against: a, triplets: found)
    #expect(abs(ofProducts.products / noise.products - 1) <= 1e-8)
    #expect(abs(ofProducts.entries / noise.entries - 1) <= 1e-8)
  }

  /// Without a twin, the rounding of single and of double precision is measured, each with its size.
  @Test func withoutATwin() throws {
    let a = operatorWithSpectrum((1...50).map { 3 / Double($0) }, rows: 50, columns: 50, seed: 1)
    let found = try Self.triplets(a, 10)
    let single = SinglePrecisionOperator(a)
    let measured = try OperatorNoise(ofRoundingIn: single, triplets: found)
    let true_ = try OperatorNoise(of: single, against: a, triplets: found)
    #expect((0.5...4).contains(measured.products / true_.products))
    // Entries are the largest of 120, in two samples of the rounding.
    #expect((0.3...5).contains(measured.entries / true_.entries))
    // A product of 50 terms: about √50 ε, times the safety factor and a margin.
    let double = try OperatorNoise(ofRoundingIn: a, triplets: found)
    #expect(double.products > 0 && double.products < 100 * Double.ulpOfOne)
  }

  /// If all values are 0, the noise has no size to be relative to.
  @Test func ofZero() throws {
    let zero = DenseOperator(Matrix(rows: 4, columns: 4))
    #expect(try OperatorNoise(ofRoundingIn: zero, triplets: Self.triplets(zero, 2)) == .none)
  }
}
