import Alignment
import LinearAlgebra
import Testing

/// The line shape of a path with these steps.
private func shape(steps: [[Double]]) -> LineShape {
  var path = [Array(repeating: 0.5, count: steps[0].count)]
  for step in steps { path.append(zip(path.last!, step).map(+)) }
  return LineShape(path: path)
}

@Suite struct LineShapeTests {
  @Test func oneDirectionScoresOneWhateverTheLengths() throws {
    let direction = [3.0, -1, 2]
    let line = shape(steps: [1, 7, 0.25, 2].map { c in direction.map { c * $0 } })
    // Four unit steps, each accurate to a few ulps.
    #expect(close(try #require(line.score), 1, 1e-14))
    #expect(line.steps == 4 && line.zeroSteps == 0)
  }

  @Test(arguments: [1, 2, 3] as [UInt64])
  func nothingIsStraighterThanALine(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<50 {
      let steps = generator.normalMatrix(rows: 6, columns: 3)
      let score = try #require(shape(steps: (0..<6).map { Array(steps.row($0)) }).score)
      #expect(score >= 1 - 1e-14)
    }
  }

  /// ‖Σ e‖² = L + Σ_{a≠b} ⟨e_a, e_b⟩ with inner products of deviation d^(−1/2): L ± √2 L/√d, that is ±0.8 % in the root here.
  @Test func randomDirectionsScoreTheRootOfTheirNumber() throws {
    var generator = SeededGenerator(seed: 4)
    let (l, d) = (16, 8000)
    let steps = generator.normalMatrix(rows: l, columns: d)
    let score = try #require(shape(steps: (0..<l).map { Array(steps.row($0)) }).score)
    #expect(close(score, Double(l).squareRoot(), 0.04))
  }

  @Test func stepsThatCancelScoreInfinity() {
    #expect(shape(steps: [[1, 0], [-1, 0]]).score == .infinity)
  }

  @Test func zeroStepsAreLeftOutAndCounted() {
    let with = shape(steps: [[1, 0], [0, 0], [0, 2], [0, 0]])
    let without = shape(steps: [[1, 0], [0, 2]])
    #expect(with.score == without.score && with.zeroSteps == 2 && with.steps == 2)
    #expect(shape(steps: [[0, 0]]).score == nil)
  }

  @Test(arguments: [1e-300, 1e200])
  func extremeLengthsDoNotMatter(scale: Double) throws {
    let path: [[Double]] = [[0, 0], [1, 0], [1, 1]]
    let score = LineShape(path: path.map { $0.map { $0 * scale } }).score
    #expect(close(try #require(score), 2.0.squareRoot(), 1e-14))
  }
}

@Suite struct ExponentialGrowthTests {
  @Test func exactExponentialsHaveNoExpodistance() throws {
    let norms = (0...10).map { 0.3 * (0..<$0).reduce(1.0) { value, _ in value * 1.5 } }
    let growth = try ExponentialGrowth(norms: norms)
    #expect(close(growth.mean, 0.405_465_108_108_164_4, 1e-14))  // ln 1.5
    // a is accurate to a few ε of the logarithms, so its relative variance is of order ε².
    #expect(try #require(growth.expodistance) < 1e-28)
  }

  @Test func scalingThePathChangesNothing() throws {
    let norms = [1.0, 1.4, 1.1, 3, 4, 9]
    let (plain, scaled) = (
      try ExponentialGrowth(norms: norms), try ExponentialGrowth(norms: norms.map { $0 * 1e150 })
    )
    // Logarithms near 345 are accurate to 6e-14.
    #expect(close(scaled.mean, plain.mean, 1e-12))
    #expect(close(try #require(scaled.expodistance), try #require(plain.expodistance), 1e-11))
    #expect(try #require(plain.expodistance) > 0)
  }

  @Test func onlyTheEndsEnterTheMean() throws {
    let a = try ExponentialGrowth(norms: [2, 7, 1, 5])
    let b = try ExponentialGrowth(norms: [2, 3, 11, 5])
    #expect(a.mean == b.mean)
    #expect(close(a.perBlock.reduce(0, +), 3 * a.mean, 1e-14))
  }

  @Test func noGrowthHasNoExpodistance() throws {
    #expect(try ExponentialGrowth(norms: [2, 3, 2]).expodistance == nil)
  }

  @Test func undefinedPathsAreErrors() {
    #expect(throws: TrajectoryError.noBlocks) { try ExponentialGrowth(norms: [1]) }
    #expect(throws: TrajectoryError.zeroNorm(layer: 1, token: 4)) {
      try ExponentialGrowth(norms: [1, 0, 2], token: 4)
    }
    #expect(throws: TrajectoryError.notFinite(layer: 0, token: 0)) {
      try ExponentialGrowth(norms: [.infinity, 1])
    }
  }
}

@Suite struct TrajectoryTests {
  private static func accumulate<Scalar: RealScalar>(
    _ states: [[[Double]]], in type: Scalar.Type
  ) throws -> Trajectory {
    var accumulator = TrajectoryAccumulator()
    for layer in states { try accumulator.append(Matrix(layer).converted(to: Scalar.self)) }
    return try accumulator.trajectory()
  }

  /// numpy computes the same sums of at most 9 terms in another order: a few ε; expodistance divides by a small mean.
  @Test func agreesWithNumpy() throws {
    let path = try Reference.load().path
    let got = try Self.accumulate(path.states, in: Double.self)
    for (a, b) in zip(got.norms.joined(), path.norms.joined()) { #expect(close(a, b, 1e-13)) }
    for (a, b) in zip(got.growthPerBlock.joined(), path.growthPerBlock.joined()) {
      #expect(close(a, b, 1e-12, floor: 1))
    }
    for t in path.growth.indices {
      #expect(close(got.lineShapeScore[t], path.lineShapeScore[t], 1e-13))
      #expect(close(got.growth[t], path.growth[t], 1e-12))
      #expect(close(try #require(got.expodistance[t]), path.expodistance[t], 1e-11))
    }
    #expect(got.norms.count == 7 && got.growthPerBlock.count == 6 && got.zeroSteps == [0, 0, 0, 0])
  }

  /// Rounding a state to single precision changes it by 6e-8 of its norm, and a step by a few times that.
  @Test func singlePrecisionStatesGiveTheSameToTheirPrecision() throws {
    let path = try Reference.load().path
    let (double, single) = (
      try Self.accumulate(path.states, in: Double.self),
      try Self.accumulate(path.states, in: Float.self)
    )
    for t in path.growth.indices {
      #expect(close(single.lineShapeScore[t], double.lineShapeScore[t], 1e-6))
      #expect(close(single.growth[t], double.growth[t], 1e-6))
    }
  }

  @Test func tokensDoNotMix() throws {
    let path = try Reference.load().path
    let all = try Self.accumulate(path.states, in: Double.self)
    let one = try Self.accumulate(path.states.map { [$0[2]] }, in: Double.self)
    #expect(one.lineShapeScore[0] == all.lineShapeScore[2])
    #expect(one.expodistance[0] == all.expodistance[2])
  }

  @Test func zeroStepsAreCountedPerToken() throws {
    let got = try Self.accumulate(
      [[[1, 0], [1, 0]], [[1, 0], [2, 0]], [[1, 1], [3, 0]]], in: Double.self)
    #expect(got.zeroSteps == [1, 0])
    #expect(got.lineShapeScore == [1, 1])
  }

  @Test func undefinedPathsAreErrors() throws {
    #expect(throws: TrajectoryError.noBlocks) {
      try Self.accumulate([[[1, 2]]], in: Double.self)
    }
    #expect(throws: TrajectoryError.noBlocks) { try Self.accumulate([], in: Double.self) }
    #expect(throws: TrajectoryError.zeroNorm(layer: 0, token: 1)) {
      try Self.accumulate([[[1], [0]], [[2], [3]]], in: Double.self)
    }
    #expect(throws: TrajectoryError.noSteps(token: 1)) {
      try Self.accumulate([[[1], [5]], [[2], [5]]], in: Double.self)
    }
    #expect(throws: TrajectoryError.notFinite(layer: 1, token: 0)) {
      try Self.accumulate([[[1, 1]], [[.nan, 1]]], in: Double.self)
    }
  }

  @Test func theFirstTokenIsReportedApart() {
    #expect(TokenSummary([100, 1, 3]) == TokenSummary([100, 3, nil, .infinity, 1]))
    #expect(TokenSummary([100, 1, 3]).first == 100)
    #expect(TokenSummary([100, 1, 3]).others == 2)
    #expect(TokenSummary([nil]).first == nil && TokenSummary([nil]).others == nil)
  }
}

@Suite struct PathPictureTests {
  /// Paths in a plane are drawn without distortion: all distances are preserved.
  @Test func planesAreDrawnAsTheyAre() throws {
    var generator = SeededGenerator(seed: 1)
    let (layers, n, d) = (4, 3, 12)
    let plane = generator.normalMatrix(rows: 2, columns: d).orthonormalizedRows()
    let states = (0..<layers).map { _ in
      Matrix<Double>.product(generator.normalMatrix(rows: n, columns: 2), .none, plane)
    }
    let picture = try PathPicture(states: states)
    #expect(picture.polylines.count == n && picture.polylines.allSatisfy { $0.count == layers })
    for t in 0..<n {
      for l in 1..<layers {
        let a = picture.polylines[t][l] - picture.polylines[0][0]
        let b = zip(states[l].row(t), states[0].row(0)).map { $0 - $1 }
        let drawn = (a.x * a.x + a.y * a.y).squareRoot()
        #expect(close(drawn, b.reduce(0) { $0 + $1 * $1 }.squareRoot(), 1e-12))
      }
    }
    #expect(close(picture.explainedVariance.sum(), 1, 1e-13))
    let centre = picture.polylines.joined().reduce(SIMD2<Double>(), +)
    #expect(abs(centre.x) < 1e-12 && abs(centre.y) < 1e-12)
  }

  @Test func explainedVarianceIsThatOfNumpy() throws {
    let path = try Reference.load().path
    let picture = try PathPicture(states: path.states.map { Matrix($0) })
    #expect(close(picture.explainedVariance.x, path.explainedVariance[0], 1e-12))
    #expect(close(picture.explainedVariance.y, path.explainedVariance[1], 1e-12))
  }

  /// One distant token takes the whole variance; without it, the others are drawn in the plane they have when alone.
  @Test func withoutAFarTokenTheOthersHaveTheirOwnPlane() throws {
    var generator = SeededGenerator(seed: 2)
    let (layers, n, d) = (5, 4, 6)
    let states = (0..<layers).map { l in
      var x = generator.normalMatrix(rows: n, columns: d)
      x[0, 3] = 1e4 * Double(l)
      return x
    }
    let alone = states.map { x in Matrix((1..<n).map { t in Array(x.row(t)) }) }
    let (all, others) = (try PathPicture(states: states), try PathPicture(states: states, from: 1))
    let expected = try PathPicture(states: alone)
    #expect(others.polylines == expected.polylines)
    #expect(others.explainedVariance == expected.explainedVariance)
    // Relative to (10⁴)², the others' variance of about 1 per entry is less than 10⁻⁶ of the whole.
    #expect(all.explainedVariance.x > 1 - 1e-6 && others.explainedVariance.x < 0.9)
  }

  @Test func aPointIsAPoint() throws {
    let picture = try PathPicture(states: [Matrix([[1.0]]), Matrix([[1.0]])])
    #expect(picture.polylines == [[SIMD2(), SIMD2()]])
    #expect(picture.explainedVariance == SIMD2())
  }

  @Test func nanIsAnError() {
    #expect(throws: LAPACKError.self) {
      try PathPicture(states: [Matrix([[1.0, .nan]]), Matrix([[1.0, 2]])])
    }
  }
}

@Suite struct LinearisedPathTests {
  @Test func cosines() throws {
    #expect(LinearisedPath.cosine(image: [1, 0], final: [0, 3]) == 0)
    #expect(close(LinearisedPath.cosine(image: [1, 2], final: [-2, -4])!, -1, 1e-15))
    #expect(
      close(LinearisedPath.cosine(image: [1e200, 1e200], final: [1e-200, 1e-200])!, 1, 1e-15))
    #expect(LinearisedPath.cosine(image: [0, 0], final: [1, 0]) == nil)
    #expect(LinearisedPath.cosine(image: [.nan, 0], final: [1, 0]) == nil)
  }
}
