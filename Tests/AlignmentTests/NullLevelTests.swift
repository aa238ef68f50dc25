import Alignment
import LinearAlgebra
import Testing

@Suite struct NullLevelTests {
  /// The mean of m² over random bases, compared with the formula.
  ///
  /// 400 independent bases; m² varies by less than 15 % between them, so its mean is known to 0.8 %. The formula
  /// assumes normal and independent entries, which at d = 60 is off by terms of order 1/d. Together within 2 %.
  @Test(arguments: CouplingSign.allCases, CouplingNormalisation.allCases)
  func simulationAgrees(sign: CouplingSign, normalisation: CouplingNormalisation) throws {
    let (d, k) = (60, 12)
    var generator = SeededGenerator(seed: 3)
    let values = (0..<d).map { 2 - 1.5 * Double($0) / Double(d) }
    let i = RandomJacobian(values, width: d, generator: &generator)
    let null = NullLevel(frobeniusNorm: FrobeniusNorm(allSingularValues: values), width: d)
    let expected = try #require(
      null.meanSquareMisfit(
        singularValues: values.prefix(k), sign: sign, normalisation: normalisation))
    var mean = 0.0
    let draws = 400
    for _ in 0..<draws {
      let u = generator.normalMatrix(rows: k, columns: d).orthonormalizedRows()
      let v = generator.normalMatrix(rows: k, columns: d).orthonormalizedRows()
      let m = BlockCoupling(
        form: .same, images: i.operatorForm.apply(v), basis: u,
        singularValues: Array(values.prefix(k))
      ).misfit(sign: sign, normalisation: normalisation)
      mean += try #require(m) * #require(m) / Double(draws)
    }
    #expect(close(mean, expected, 0.02), "simulated \(mean), formula \(expected)")
    let score = try #require(
      null.score(singularValues: values.prefix(k), sign: sign, normalisation: normalisation))
    #expect(close(score, 1 - expected.squareRoot(), 1e-14, floor: 1))
  }

  @Test func aFlatSpectrumGainsWithRankUnderTrace() throws {
    // ‖J‖_F²/‖S_K‖_F² = d/K: E m^(1)² = (1 + K/d)/K, near 1/K for small K/d.
    let d = 1_000_000
    for k in [4, 25, 100] {
      let null = NullLevel(
        frobeniusNorm: FrobeniusNorm(allSingularValues: Array(repeating: 1, count: d)), width: d)
      let score = try #require(
        null.score(
          singularValues: Array(repeating: 1, count: k), normalisation: .trace))
      #expect(close(score, 1 - 1 / Double(k).squareRoot(), 1e-3))
    }
  }

  @Test func nothingIsMissingButTheZeroJacobian() {
    let null = NullLevel(frobeniusNorm: FrobeniusNorm(allSingularValues: [0, 0]), width: 2)
    #expect(null.score(singularValues: [0, 0]) == nil)
  }
}

@Suite struct FrobeniusNormTests {
  @Test func allValuesGiveTheNorm() {
    var generator = SeededGenerator(seed: 4)
    let j = RandomJacobian(decaying(20), width: 20, generator: &generator)
    let norm = FrobeniusNorm(allSingularValues: decaying(20))
    #expect(close(norm.value, j.matrix.frobeniusNorm, 1e-14))
    #expect(norm.isExact && norm.standardError == 0)
  }

  /// E ‖J (I − VVᵀ) z‖² is the tail: with 4000 probes the estimate is within 4 of its own standard errors.
  @Test(arguments: [0, 3, 10])
  func probesEstimateWhatTheTripletsLeaveOut(known: Int) throws {
    let d = 20
    var generator = SeededGenerator(seed: 5)
    let j = RandomJacobian(decaying(d), width: d, generator: &generator)
    let v = j.triplets.rightVectors.prefix(known)
    let probes = generator.normalMatrix(rows: 4000, columns: d)
    let components = Matrix<Double>.product(probes, .none, v, .transposed)  // (b, K)
    let projected = probes - .product(components, .none, v)
    let images = j.operatorForm.apply(projected)
    let squares = (0..<images.rows).map { images.row($0).reduce(0) { $0 + $1 * $1 } }
    let estimate = FrobeniusNorm(
      singularValues: Array(decaying(d).prefix(known)), squaredProbeNorms: squares)
    let error = try #require(estimate.standardError)
    #expect(!estimate.isExact)
    #expect(abs(estimate.value - j.matrix.frobeniusNorm) < 4 * error)
    #expect(error < 0.02 * estimate.value)
  }

  @Test func oneProbeHasNoErrorAndAZeroTailHasNone() {
    #expect(FrobeniusNorm(singularValues: [3], squaredProbeNorms: [16]).value == 5)
    #expect(FrobeniusNorm(singularValues: [3], squaredProbeNorms: [16]).standardError == nil)
    let whole = FrobeniusNorm(singularValues: [3, 4], squaredProbeNorms: [0, 0])
    #expect(whole.value == 5 && whole.standardError == 0)
    let zero = FrobeniusNorm(singularValues: [0], squaredProbeNorms: [0, 0])
    #expect(zero.value == 0 && zero.standardError == 0)
  }
}
