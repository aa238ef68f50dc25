import Alignment
import LinearAlgebra
import Testing

private let d = 24
private let k = 6

private func pair(seed: UInt64) -> (RandomJacobian, RandomJacobian) {
  var generator = SeededGenerator(seed: seed)
  return (
    RandomJacobian(decaying(d), width: d, generator: &generator),
    RandomJacobian(decaying(d).map { $0 * $0 }, width: d, generator: &generator)
  )
}

// A is a sum of d products of numbers below s₁ with rounding ε each, twice: its entries are accurate to about d ε s₁,
// and m to K d ε s₁/‖S_K‖ ≤ K d ε ≈ 3e-14 here. 1e-12 leaves a margin.
private let tolerance = 1e-12

@Suite struct BlockCouplingTests {
  @Test(arguments: [1, 2, 3] as [UInt64])
  func aJacobianIsAlignedWithItself(seed: UInt64) throws {
    let (i, _) = pair(seed: seed)
    let coupling = i.coupling(in: i, rank: k)
    for sign in CouplingSign.allCases {
      for normalisation in CouplingNormalisation.allCases + [.p(3)] {
        let m = try #require(coupling.misfit(sign: sign, normalisation: normalisation))
        #expect(m < tolerance)
        #expect(abs(coupling.score(sign: sign, normalisation: normalisation)! - 1) < tolerance)
      }
    }
  }

  @Test(arguments: CouplingForm.allCases, CouplingSign.allCases)
  func theDefinitionHolds(form: CouplingForm, sign: CouplingSign) throws {
    let (i, j) = pair(seed: 4)
    let (u, v) = (j.triplets.leftVectors.prefix(k), j.triplets.rightVectors.prefix(k))
    let a =
      form == .same
      ? Matrix.product(.product(u, .none, i.matrix), .none, v, .transposed)
      : Matrix.product(.product(v, .none, i.matrix), .none, u, .transposed)
    var difference = a
    for x in 0..<k {
      for y in 0..<k {
        if sign == .absolute { difference[x, y] = abs(a[x, y]) }
        if x == y { difference[x, y] -= i.triplets.singularValues[x] }
      }
    }
    let s = i.triplets.singularValues.prefix(k)
    let coupling = i.coupling(in: j, rank: k, form: form)
    let frobenius =
      difference.frobeniusNorm / s.map { $0 * $0 }.reduce(0, +).squareRoot()
    let trace = difference.frobeniusNorm / s.reduce(0, +)
    #expect(close(try #require(coupling.misfit(sign: sign)), frobenius, tolerance))
    #expect(
      close(try #require(coupling.misfit(sign: sign, normalisation: .trace)), trace, tolerance))
    #expect(close(coupling.score(.oneMinus, sign: sign)!, 1 - frobenius, tolerance, floor: 1))
    #expect(
      close(
        coupling.score(.oneMinusSquare, sign: sign)!, 1 - frobenius * frobenius, tolerance,
        floor: 1))
    #expect(close(coupling.score(.misfit, sign: sign)!, frobenius, tolerance))
    let magnitudes = coupling.magnitudes(rank: 4)
    for x in 0..<4 {
      for y in 0..<4 { #expect(close(magnitudes[x, y], abs(a[x, y]), tolerance, floor: 1)) }
    }
  }

  /// Jacobians (10, 10) whose singular values are a few percent apart: LAPACK's vectors, here and in numpy, are
  /// accurate to ε s₁ over the gap, about 1e-14.
  @Test func agreesWithNumpy() throws {
    let reference = try Reference.load().coupling
    let jacobians = try reference.jacobians.map { rows in
      let (u, s, v) = try Matrix(rows).singularValueDecomposition()
      return RandomJacobian(u: u, values: s, v: v)
    }
    #expect(reference.tables.count == 16)
    for table in reference.tables {
      let couplings = jacobians.map { i in
        jacobians.map { i.coupling(in: $0, rank: 4, form: table.form) }
      }
      let setting = CouplingSetting(
        rank: table.rank, sign: table.sign, normalisation: table.normalisation,
        form: table.form, score: .misfit)
      let got = CouplingMatrix(
        kind: .depth, setting: setting, rows: [1, 2, 3], columns: [1, 2, 3], couplings: couplings)
      for (a, b) in zip(got.matrix.joined(), table.misfit.joined()) {
        #expect(abs(try #require(a) - b) < 1e-12, "\(setting)")
      }
    }
    for (i, a) in jacobians.enumerated() {
      for (j, b) in jacobians.enumerated() {
        let overlap = SubspaceOverlap(a.triplets, b.triplets, rank: reference.overlapRank)
        #expect(close(overlap.left, reference.left[i][j], 1e-12))
        #expect(close(overlap.right, reference.right[i][j], 1e-12))
      }
    }
  }

  @Test(arguments: [1e-200, 0.3, 1e200], CouplingForm.allCases)
  func aPositiveFactorChangesNothing(factor: Double, form: CouplingForm) throws {
    let (i, j) = pair(seed: 5)
    let m = try #require(i.coupling(in: j, rank: k, form: form).misfit())
    let ofScaled = i.scaled(by: factor).coupling(in: j, rank: k, form: form)
    let inScaled = i.coupling(in: j.scaled(by: factor), rank: k, form: form)
    #expect(close(try #require(ofScaled.misfit()), m, tolerance))
    #expect(close(try #require(inScaled.misfit()), m, tolerance))
  }

  @Test func theCommonSignOfAPairIsFree() throws {
    let (i, j) = pair(seed: 6)
    let signs = (0..<d).map { $0 % 3 == 0 ? -1.0 : 1.0 }
    let flipped = RandomJacobian(
      u: withSigns(j.triplets.leftVectors, signs), values: j.triplets.singularValues,
      v: withSigns(j.triplets.rightVectors, signs))
    for form in CouplingForm.allCases {
      // Flipping pair k multiplies row and column k of A, so the diagonal stays and no entry changes in magnitude.
      let m = try #require(i.coupling(in: j, rank: k, form: form).misfit())
      #expect(
        close(try #require(i.coupling(in: flipped, rank: k, form: form).misfit()), m, tolerance))
    }
  }

  @Test(arguments: CouplingForm.allCases, [7, 8, 9] as [UInt64])
  func boundsBetweenSignsAndNormalisations(form: CouplingForm, seed: UInt64) throws {
    let (i, j) = pair(seed: seed)
    let coupling = i.coupling(in: j, rank: k, form: form)
    for rank in 1...k {
      let signed = try #require(coupling.misfit(rank: rank, sign: .signed))
      let absolute = try #require(coupling.misfit(rank: rank, sign: .absolute))
      #expect(absolute <= signed * (1 + 1e-15))
      let isPositive = (0..<rank).allSatisfy { coupling.matrix[$0, $0] >= 0 }
      #expect(isPositive == (signed - absolute < 1e-15))

      let s = i.triplets.singularValues.prefix(rank)
      let ratio =
        CouplingNormalisation.frobenius.norm(s) / CouplingNormalisation.trace.norm(s)
      for (sign, m2) in [(CouplingSign.signed, signed), (.absolute, absolute)] {
        let m1 = try #require(
          coupling.misfit(rank: rank, sign: sign, normalisation: .trace))
        #expect(close(m1, m2 * ratio, 1e-14))
        #expect(m1 <= m2 * (1 + 1e-15))
        #expect(m1 >= m2 / Double(rank).squareRoot() * (1 - 1e-15))
        // ‖s‖_p decreases with p, so misfits increase.
        let between = try #require(
          coupling.misfit(rank: rank, sign: sign, normalisation: .p(1.5)))
        #expect(between >= m1 * (1 - 1e-14) && between <= m2 * (1 + 1e-14))
      }
    }
  }

  @Test func antiAlignedPairsAreTwoSignedAndZeroAbsolute() throws {
    let (i, _) = pair(seed: 10)
    let anti = RandomJacobian(
      u: i.triplets.leftVectors, values: i.triplets.singularValues,
      v: withSigns(i.triplets.rightVectors, Array(repeating: -1, count: d)))
    let coupling = i.coupling(in: anti, rank: k)
    #expect(close(try #require(coupling.misfit()), 2, tolerance))
    #expect(try #require(coupling.misfit(sign: .absolute)) < tolerance)
    // A score 1 − m may be negative.
    #expect(try #require(coupling.score()) < 0)
  }

  @Test(arguments: CouplingForm.allCases)
  func lowerRanksAreLeadingBlocks(form: CouplingForm) throws {
    let (i, j) = pair(seed: 11)
    let largest = i.coupling(in: j, rank: k, form: form)
    for rank in 1..<k {
      let own = i.coupling(in: j, rank: rank, form: form)
      #expect(
        close(try #require(largest.misfit(rank: rank)), try #require(own.misfit()), tolerance))
    }
  }

  @Test func crossedIsSameForASymmetricPositiveJacobian() throws {
    let (i, j) = pair(seed: 12)
    let symmetric = RandomJacobian(
      u: j.triplets.leftVectors, values: j.triplets.singularValues, v: j.triplets.leftVectors)
    let same = try #require(i.coupling(in: symmetric, rank: k).misfit())
    let crossed = try #require(i.coupling(in: symmetric, rank: k, form: .crossed).misfit())
    #expect(close(crossed, same, tolerance))
    // A Jacobian whose left and right vectors differ is no better than chance with itself, crossed.
    #expect(try #require(i.coupling(in: i, rank: k, form: .crossed).misfit()) > 0.5)
  }

  @Test func itIsNotSymmetric() throws {
    let (i, j) = pair(seed: 13)
    let (ij, ji) = (i.coupling(in: j, rank: k).misfit()!, j.coupling(in: i, rank: k).misfit()!)
    #expect(abs(ij - ji) > 1e-3)
  }

  @Test func aZeroJacobianHasNoCouplingRatherThanZero() {
    let (_, j) = pair(seed: 14)
    let zero = BlockCoupling(
      form: .same, of: DenseOperator(Matrix(rows: d, columns: d)),
      singularValues: Array(repeating: 0, count: k), inBasisOf: j.triplets)
    for normalisation in CouplingNormalisation.allCases {
      #expect(zero.misfit(normalisation: normalisation) == nil)
      #expect(zero.score(normalisation: normalisation) == nil)
    }
    let notFinite = BlockCoupling(
      form: .same, matrix: Matrix(rows: 1, columns: 1, elements: [.nan]), singularValues: [1])
    #expect(notFinite.misfit() == nil)
  }

  @Test func namesAreThoseOfTheOptions() {
    #expect(CouplingSign.allCases.map(\.rawValue) == ["signed", "absolute"])
    #expect(CouplingNormalisation.allCases.map(\.rawValue) == ["frobenius", "trace"])
    #expect(CouplingForm.allCases.map(\.rawValue) == ["same", "crossed"])
    #expect(
      CouplingScore.allCases.map(\.rawValue) == ["misfit", "one-minus", "one-minus-square"])
    #expect(LastBlockMode.allCases.map(\.rawValue) == ["residual", "drop", "normed"])
    #expect(DiagonalMode.allCases.map(\.rawValue) == ["excluded", "included"])
    for normalisation in CouplingNormalisation.allCases + [.p(1.5)] {
      #expect(CouplingNormalisation(rawValue: normalisation.rawValue) == normalisation)
    }
    #expect(CouplingNormalisation(rawValue: "p=2") == .frobenius)
    for bad in ["p=0.5", "p=nan", "p=inf", "p", "Frobenius"] {
      #expect(CouplingNormalisation(rawValue: bad) == nil)
    }
  }
}

@Suite struct CouplingRankTests {
  @Test func aShareIsRoundedDownAsItIsWritten() throws {
    #expect(try CouplingRank.share(0.29, width: 100) == 29)  // 0.29 · 100 = 28.999999999999996
    #expect(try CouplingRank.share(0.005, width: 4096) == 20)
    #expect(try CouplingRank.share(1, width: 7) == 7)
    for percent in 1...100 {
      #expect(try CouplingRank.share(Double(percent) / 100, width: 1000) == 10 * percent)
      #expect(try CouplingRank.share(Double(percent) / 100, width: 576) == 576 * percent / 100)
    }
  }

  @Test func ranksOutsideTheWidthAreErrors() {
    #expect(throws: CouplingRankError.outOfRange(rank: 0, width: 5)) {
      try CouplingRank.fixed(0, width: 5)
    }
    #expect(throws: CouplingRankError.outOfRange(rank: 6, width: 5)) {
      try CouplingRank.fixed(6, width: 5)
    }
    #expect(throws: CouplingRankError.outOfRange(rank: 0, width: 10)) {
      try CouplingRank.share(0.05, width: 10)
    }
    #expect(throws: CouplingRankError.self) { try CouplingRank.share(.nan, width: 10) }
    #expect(throws: CouplingRankError.self) { try CouplingRank.share(1.5, width: 10) }
  }
}
