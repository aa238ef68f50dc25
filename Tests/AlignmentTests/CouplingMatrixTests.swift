import Alignment
import Foundation
import LinearAlgebra
import Testing

private let d = 16
private let k = 4

/// The couplings of four blocks in one form.
private func table(_ form: CouplingForm, seed: UInt64 = 1) -> [[BlockCoupling]] {
  var generator = SeededGenerator(seed: seed)
  let blocks = (0..<4).map { _ in
    RandomJacobian(decaying(d), width: d, generator: &generator)
  }
  return blocks.map { i in blocks.map { i.coupling(in: $0, rank: k, form: form) } }
}

private func matrix(
  _ setting: CouplingSetting, nulls: [NullLevel]? = nil, same: Bool = true
) -> CouplingMatrix {
  CouplingMatrix(
    kind: .depth, setting: setting, rows: [1, 2, 5, 9], columns: [1, 2, 5, 9],
    couplings: table(setting.form), nulls: nulls, comparesSameJacobians: same)
}

@Suite struct CouplingMatrixTests {
  @Test func includingTheDiagonalAddsItsShare() throws {
    let result = matrix(CouplingSetting(rank: k))
    let mean = try #require(result.mean())
    let included = try #require(result.mean(diagonal: .included))
    #expect(close(included, mean + (1 - mean) / 4, 1e-12, floor: 1))
    let byHand = (0..<4).flatMap { i in
      (0..<4).filter { $0 != i }.map { result.matrix[i][$0]! }
    }
    #expect(close(mean, byHand.reduce(0, +) / 12, 1e-14, floor: 1))
  }

  @Test func theDiagonalOfTheCrossedFormIsAResult() throws {
    let crossed = matrix(CouplingSetting(rank: k, form: .crossed))
    #expect(crossed.mean(diagonal: .excluded) == crossed.mean(diagonal: .included))
    let different = matrix(CouplingSetting(rank: k), same: false)
    #expect(different.mean(diagonal: .excluded) == different.mean(diagonal: .included))
  }

  @Test func missingEntriesStayMissing() throws {
    var couplings = table(.same)
    let zero = BlockCoupling(
      form: .same, matrix: Matrix(rows: k, columns: k),
      singularValues: Array(repeating: 0, count: k))
    couplings[2] = Array(repeating: zero, count: 4)
    let result = CouplingMatrix(
      kind: .depth, setting: CouplingSetting(rank: k), rows: [1, 2, 3, 4], columns: [1, 2, 3, 4],
      couplings: couplings)
    #expect(result.matrix[2] == [nil, nil, nil, nil])
    let rest = [0, 1, 3].flatMap { i in
      (0..<4).filter { $0 != i }.map { result.matrix[i][$0]! }
    }
    #expect(close(try #require(result.mean()), rest.reduce(0, +) / 9, 1e-14, floor: 1))
    let empty = CouplingMatrix(
      kind: .depth, setting: CouplingSetting(rank: k), rows: [3], columns: [3],
      couplings: [[zero]])
    #expect(empty.mean() == nil && empty.mean(diagonal: .included) == nil)
  }

  @Test func thereAreEightCombinations() {
    let all = CouplingSetting.combinations(rank: 3)
    #expect(all.count == 8 && Set(all).count == 8)
    #expect(all.allSatisfy { $0.rank == 3 && $0.score == .oneMinus })
  }

  @Test(arguments: CouplingSetting.combinations(rank: 3))
  func filesHoldEveryNumberUnderItsName(setting: CouplingSetting) throws {
    let norm = FrobeniusNorm(allSingularValues: decaying(d))
    let result = matrix(
      setting, nulls: Array(repeating: NullLevel(frobeniusNorm: norm, width: d), count: 4))
    #expect(result.null?.count == 4 && result.null?.allSatisfy { $0 != nil } == true)
    let data = try JSONEncoder().encode(result)
    #expect(try JSONDecoder().decode(CouplingMatrix.self, from: data) == result)

    let object = try #require(
      try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(object["kind"] as? String == "depth")
    #expect(object["rank"] as? Int == 3)
    #expect(object["sign"] as? String == setting.sign.rawValue)
    #expect(object["normalisation"] as? String == setting.normalisation.rawValue)
    #expect(object["form"] as? String == setting.form.rawValue)
    #expect(object["score"] as? String == "one-minus")
    #expect(object["rows"] as? [Int] == [1, 2, 5, 9])
    // The parser of untyped JSON may be wrong in the last bit.
    for key in ["meanNontrivial", "meanOffDiagonal"] {
      let mean = try #require(object[key] as? Double)
      #expect(close(mean, try #require(result.mean()), 1e-13))
    }
  }

  @Test func unknownNumbersAreWrittenAsNull() throws {
    let zero = BlockCoupling(
      form: .same, matrix: Matrix(rows: 1, columns: 1), singularValues: [0])
    let result = CouplingMatrix(
      kind: .depth, setting: CouplingSetting(rank: 1), rows: [1], columns: [1],
      couplings: [[zero]])
    let text = String(decoding: try JSONEncoder().encode(result), as: UTF8.self)
    #expect(text.contains(#""matrix":[[null]]"#) && text.contains(#""null":null"#))
    #expect(text.contains(#""meanNontrivial":null"#))
  }
}
