import LinearAlgebra
import Testing

@testable import Alignment

@Suite struct CorrelationTests {
  /// Both sides sum at most 40 numbers in double precision. r and p near 0 or 1 lose digits to cancellation; the
  /// fourth case has 1 − r² ≈ 1e-5, of which p ≈ 1e-70 is a 14th power, so 1e-9 requires eleven digits of 1 − r².
  @Test func agreesWithScipy() throws {
    for c in try Reference.load().correlations {
      let got = try #require(Correlation(c.x, c.y))
      #expect(close(got.r, c.r, 1e-12))
      #expect(close(got.slope, c.slope, 1e-12) && close(got.intercept, c.intercept, 1e-12))
      #expect(close(got.rSquared, c.r * c.r, 1e-12))
      #expect(close(got.pValue, c.pValue, 1e-9), "p \(got.pValue), scipy \(c.pValue)")
      let fit = try #require(LineFit(c.x, c.y))
      #expect(fit.slope == got.slope && fit.rSquared == got.rSquared)

      let rank = try #require(RankCorrelation(c.x, c.y))
      #expect(close(rank.rho, c.rho, 1e-12))
      // At |ρ| = 1 scipy's own p is rounding error.
      #expect(close(rank.pValue, c.rankP, 1e-9, floor: abs(c.rho) > 0.999_999 ? 10 : 0))
      let partial = try #require(PartialCorrelation(c.x, c.y, given: c.z))
      #expect(close(partial.r, c.partialR, 1e-11))
      #expect(close(partial.pValue, c.partialP, 1e-8))

      let mean = try #require(MeanEstimate(c.y))
      #expect(close(mean.mean, c.mean, 1e-14))
      #expect(close(try #require(mean.standardError), c.standardError, 1e-13))
    }
  }

  @Test func thePartialCorrelationIsTheFormula() throws {
    for c in try Reference.load().correlations {
      let (xy, xz, yz) = (
        Correlation(c.x, c.y)!.r, Correlation(c.x, c.z)!.r, Correlation(c.y, c.z)!.r
      )
      let formula = (xy - xz * yz) / ((1 - xz * xz) * (1 - yz * yz)).squareRoot()
      #expect(close(PartialCorrelation(c.x, c.y, given: c.z)!.r, formula, 1e-9))
    }
  }

  @Test func affineMapsChangeOnlyTheLine() throws {
    let c = try Reference.load().correlations[1]
    let (plain, moved) = (
      try #require(Correlation(c.x, c.y)),
      try #require(Correlation(c.x.map { 3 * $0 - 2 }, c.y.map { 5 - 2 * $0 }))
    )
    #expect(close(moved.r, -plain.r, 1e-13))
    #expect(close(moved.pValue, plain.pValue, 1e-11))
    #expect(close(moved.slope, -2 / 3 * plain.slope, 1e-13))
    // Ranks depend only on the order.
    let cubed = RankCorrelation(c.x.map { $0 * $0 * $0 }, c.y)
    #expect(cubed == RankCorrelation(c.x, c.y))
  }

  @Test func aPerfectLineHasNoDoubt() throws {
    let x = [1.0, 2, 3, 4, 5]
    let fit = try #require(Correlation(x, x.map { 2 * $0 + 1 }))
    #expect(close(fit.r, 1, 1e-15) && fit.slope == 2 && fit.intercept == 1 && fit.pValue == 0)
    #expect(fit.rSquared == 1)
  }

  @Test func undefinedStatisticsAreMissing() {
    #expect(Correlation([1, 2], [1, 3]) == nil)
    #expect(Correlation([0.1, 0.1, 0.1], [1, 2, 3]) == nil)
    #expect(Correlation([1, 2, 3], [0.1, 0.1, 0.1]) == nil)
    #expect(Correlation([1, 2, .nan], [1, 2, 3]) == nil)
    // Finite, but their squares are not.
    #expect(Correlation([1, 2, 1e200], [1, 2, 3]) == nil)
    #expect(RankCorrelation([1, 2, .nan], [1, 2, 3]) == nil)
    #expect(RankCorrelation([2, 2, 2], [1, 2, 3]) == nil)
    #expect(LineFit([1, 1, 1], [1, 2, 3]) == nil)
    #expect(LineFit([1, 2, 3], [7, 7, 7])?.rSquared == nil)
    #expect(LineFit([1, 2, 3], [7, 7, 7])?.slope == 0)
    #expect(PartialCorrelation([1, 2, 4], [1, 3, 2], given: [2, 1, 5]) == nil)
    // x is a linear function of z: nothing remains of it.
    let z = [0.1, 0.7, 1.3, 2.9, 3.3]
    #expect(PartialCorrelation(z.map { 3 * $0 + 1 }, [1, 5, 2, 4, 3], given: z) == nil)
    #expect(MeanEstimate([]) == nil)
    #expect(MeanEstimate([4])?.standardError == nil)
  }

  @Test func aThresholdKeepsTheModelsAboveIt() throws {
    let (x, y) = ([1.0, 2, 3, 4, 5, 6], [9.0, 0, 1, 2.5, 3, 5])
    let kept = try #require(Correlation(x, y, above: 0.5))
    #expect(kept == Correlation([1, 3, 4, 5, 6], [9, 1, 2.5, 3, 5]))
    #expect(Correlation(x, y, above: 4) == nil)
  }

  @Test func tiesShareTheMeanOfTheirRanks() {
    #expect(RankCorrelation.ranks([3, 1, 3, 2, 3]) == [4, 1, 4, 2, 4])
    #expect(RankCorrelation.ranks([]) == [])
  }
}

@Suite struct StudentTTests {
  /// x^a (1 − x)^b/B(a, b) inherits the rounding of its logarithm, of order 100 ε here, and as much from log Γ.
  @Test func tailsAgreeWithScipy() throws {
    for c in try Reference.load().tails {
      let p = StudentT.twoSidedP(t: c.t, degreesOfFreedom: c.degreesOfFreedom)
      #expect(close(p, c.p, 1e-11), "t \(c.t), ν \(c.degreesOfFreedom): \(p), scipy \(c.p)")
      #expect(p == StudentT.twoSidedP(t: -c.t, degreesOfFreedom: c.degreesOfFreedom))
    }
  }

  /// scipy.stats.t.ppf at levels from nearly 0 to nearly 1.
  @Test(arguments: [
    (0.95, 1, 12.706204736174694), (0.95, 2, 4.302652729749462), (0.95, 3, 3.1824463052837078),
    (0.95, 7, 2.3646242515927853), (0.95, 15, 2.131449545559774), (0.95, 31, 2.0395134463964077),
    (0.95, 1000, 1.9623390808264078), (0.5, 1, 1.0), (0.5, 4, 0.7406970841126829),
    (0.99, 1, 63.65674116287158), (0.99, 31, 2.7440419192942698),
    (0.999999, 2, 999.9992499854659), (0.01, 5, 0.013171984672646872),
  ]) func quantilesAgreeWithScipy(level: Double, nu: Int, t: Double) {
    let got = StudentT.quantile(level: level, degreesOfFreedom: nu)
    // 1 − level has 16 digits minus the number of nines in the level, and the relative change of t is at most half of
    // its own.
    #expect(close(got, t, 1e-10), "\(got), scipy \(t)")
  }

  @Test func betasAgreeWithScipy() throws {
    for c in try Reference.load().betas {
      #expect(close(incompleteBeta(c.x, c.a, c.b), c.value, 1e-12))
      // I_x(a, b) + I_{1−x}(b, a) = 1
      #expect(close(incompleteBeta(c.x, c.a, c.b) + incompleteBeta(1 - c.x, c.b, c.a), 1, 1e-12))
    }
    #expect(incompleteBeta(0, 2, 3) == 0 && incompleteBeta(1, 2, 3) == 1)
  }
}

@Suite struct PairedDifferenceTests {
  /// At most 32 numbers are summed; t inherits what the differences lose, a few ε times |a| / |b − a|, here at most
  /// 100 ε.
  @Test func agreesWithScipy() throws {
    for c in try Reference.load().pairs {
      let got = try #require(PairedDifference(from: c.a, to: c.b))
      #expect(got.count == c.a.count)
      #expect(close(got.mean, c.mean, 1e-13) && close(got.standardError, c.standardError, 1e-13))
      #expect(close(got.pValue, c.pValue, 1e-10), "p \(got.pValue), scipy \(c.pValue)")
      #expect(got.interval.lower <= got.mean && got.mean <= got.interval.upper)
      // The interval contains 0 unless the test finds the difference significant.
      #expect((got.interval.lower <= 0 && 0 <= got.interval.upper) == (got.pValue >= 0.05))
      let back = try #require(PairedDifference(from: c.b, to: c.a))
      #expect(back.mean == -got.mean && back.pValue == got.pValue)
    }
  }

  @Test func whatIsCommonToAPairDoesNotCount() throws {
    let (a, shifts) = ([1.0, 20, 300], [0.5, 0.25, 0.75])
    let got = try #require(PairedDifference(from: a, to: zip(a, shifts).map { $0 + $1 }))
    #expect(got == PairedDifference(from: [0, 0, 0], to: shifts))
  }

  @Test func equalAndMissingNumbers() throws {
    #expect(PairedDifference(from: [1, 2, 3], to: [1, 2, 3])?.pValue == 1)
    #expect(PairedDifference(from: [1, 2, 3], to: [2, 3, 4])?.pValue == 0)
    #expect(PairedDifference(from: [1], to: [2]) == nil)
    #expect(PairedDifference(from: [1, .infinity], to: [2, 3]) == nil)
  }
}

@Suite struct MeanIntervalTests {
  /// Of 20,000 samples of normal values, 95 % of the intervals contain the true mean, within 4 standard deviations of
  /// such a count, √(0.95 · 0.05 / 20000) = 0.0015 each.
  @Test(arguments: [2, 4, 8, 16]) func coversAsOftenAsItSays(count: Int) throws {
    var generator = SeededGenerator(seed: UInt64(count))
    let trials = 20_000
    var held = 0
    for _ in 0..<trials {
      let values = (0..<count).map { _ in 3 + 0.5 * generator.normal() }
      let interval = try #require(MeanInterval(values))
      if interval.lower <= 3 && 3 <= interval.upper { held += 1 }
    }
    #expect(abs(Double(held) / Double(trials) - 0.95) < 0.0062, "\(held) of \(trials)")
  }

  @Test func ofFewNumbersThereIsNone() {
    #expect(MeanInterval([1]) == nil && MeanInterval([]) == nil)
    #expect(MeanInterval([1, .infinity]) == nil)
    let equal = MeanInterval([2, 2, 2])
    #expect(equal?.lower == 2 && equal?.upper == 2)
  }
}

@Suite struct BootstrapTests {
  private static func mean(
    _ values: [Double], level: Double = 0.95, resamples: Int = 2000, seed: UInt64
  ) -> BootstrapInterval? {
    BootstrapInterval(count: values.count, level: level, resamples: resamples, seed: seed) { draw in
      draw.reduce(0) { $0 + values[$1] } / Double(draw.count)
    }
  }

  @Test func aSeedFixesTheInterval() {
    let values = [0.2, 0.5, 0.1, 0.9, 0.4, 0.45]
    #expect(Self.mean(values, seed: 3) == Self.mean(values, seed: 3))
    #expect(Self.mean(values, seed: 3) != Self.mean(values, seed: 4))
  }

  /// For a mean it is close to the normal interval, mean ± 1.96 · standard error, with the deviation of n instead of
  /// n − 1. A quantile of 4000 resamples is itself uncertain by about 4 % of the standard error, and the rest is the
  /// skewness of the sample.
  @Test func itIsNearlyTheNormalOneForAMean() throws {
    var generator = SeededGenerator(seed: 9)
    let values = (0..<100).map { _ in generator.normal() }
    let mean = try #require(MeanEstimate(values))
    let error = try #require(mean.standardError)
    let interval = try #require(Self.mean(values, resamples: 4000, seed: 1))
    #expect(abs(interval.lower - (mean.mean - 1.96 * error)) < 0.2 * error)
    #expect(abs(interval.upper - (mean.mean + 1.96 * error)) < 0.2 * error)
    let narrower = try #require(
      Self.mean(values, level: 0.5, resamples: 4000, seed: 1))
    #expect(narrower.lower > interval.lower && narrower.upper < interval.upper)
  }

  @Test func pairsAreDrawnTogether() throws {
    let (x, y) = ([1.0, 2, 3, 4, 5, 6], [2.0, 4, 6, 8, 10, 12])
    let interval = try #require(
      BootstrapInterval(count: 6, seed: 2) { draw in
        Correlation(draw.map { x[$0] }, draw.map { y[$0] })?.slope
      })
    #expect(close(interval.lower, 2, 1e-12) && close(interval.upper, 2, 1e-12))
    #expect(interval.resamples <= 2000)
  }

  /// Each stratum is resampled within itself, as often as it has items; a stratum of one item always yields that
  /// item.
  @Test func strataKeepTheirOwn() throws {
    var draws = 0
    let interval = BootstrapInterval(strata: [3, 1, 2], seed: 5) { drawn in
      draws += 1
      #expect(drawn.map(\.count) == [3, 1, 2])
      #expect(zip(drawn, [3, 1, 2]).allSatisfy { $0.allSatisfy((0..<$1).contains) })
      return Double(drawn[0].reduce(0, +) + drawn[2].reduce(0, +))
    }
    #expect(draws == 2000)
    // Sums range from 0 to 6 + 2, and chance does not reach their outer 2.5 %.
    #expect(try #require(interval).lower < 4 && interval!.upper > 4)
    let plain = BootstrapInterval(count: 4, seed: 5) { Double($0.reduce(0, +)) }
    #expect(plain == BootstrapInterval(strata: [4], seed: 5) { Double($0[0].reduce(0, +)) })
    #expect(BootstrapInterval(strata: [1, 1, 0]) { _ in 1 } == nil)
  }

  @Test func undefinedIntervalsAreMissing() {
    #expect(Self.mean([1], seed: 0) == nil)
    #expect(BootstrapInterval(count: 5) { _ in nil } == nil)
  }

  @Test func quantilesAreLinearBetweenNeighbours() {
    #expect(BootstrapInterval.quantile(0.5, sorted: [1, 2]) == 1.5)
    #expect(BootstrapInterval.quantile(0, sorted: [1, 2, 4]) == 1)
    #expect(BootstrapInterval.quantile(1, sorted: [1, 2, 4]) == 4)
    #expect(BootstrapInterval.quantile(0.75, sorted: [1, 2, 4]) == 3)
  }
}
