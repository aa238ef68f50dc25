import Foundation
import Lanczos
import LinearAlgebra
import TestSupport
import Testing

/// What solvers prove about the triplets they did not find.
@Suite struct CertificateTests {
  /// The same map on each of `copies` parts of the input: values repeated that often, as in an ordinary checkpoint
  /// made of equal parts.
  private func equalBlocks(_ values: [Double], copies: Int) -> ClosureOperator {
    let part = operatorWithSpectrum(values, rows: values.count, columns: values.count, seed: 3)
    let each = { (x: [Double], product: (Matrix<Double>) -> Matrix<Double>) in
      let rows = Matrix(rows: copies, columns: values.count, elements: x)
      return product(rows).elements
    }
    return ClosureOperator(
      inputDimension: values.count * copies, outputDimension: values.count * copies,
      forward: { each($0) { part.apply($0) } }, adjoint: { each($0) { part.applyAdjoint($0) } })
  }

  private func expectAll(_ found: SingularTriplets, _ values: [Double], _ message: Comment) {
    #expect(found.report.isConverged, message)
    for (i, value) in found.singularValues.enumerated() {
      // The residual norm bounds the error of a value (Weyl), and the search treats smaller differences as equal.
      #expect(abs(value - values[i]) <= 2.1e-5 * values[0], message)
    }
  }

  @Test(arguments: SolverKind.allCases)
  func equalBlocksLoseNothing(kind: SolverKind) throws {
    let values = jacobianLike(12)
    let all = values.flatMap { Array(repeating: $0, count: 16) }
    let a = equalBlocks(values, copies: 16)
    for seed in 0..<3 as Range<UInt64> {
      for certify in [CertifyMode.auto, .proof] {
        let found = try kind.solver(seed: seed, certify: certify).partialSVD(of: a, count: 10)
        expectAll(found, all, "seed \(seed), \(certify)")
        let certificate = try #require(found.certificate)
        #expect(certificate.outside + certificate.residualNorm >= all[certificate.deflated] - 1e-12)
      }
    }
  }

  /// Sixteen solves share applications, with two vectors each.
  @Test func narrowBlocksLoseNothing() throws {
    let values = jacobianLike(8)
    let a = (0..<16).map { _ in equalBlocks(values, copies: 12) }
    let solver = BlockLanczosSolver(seed: 1)
    let all = values.flatMap { Array(repeating: $0, count: 12) }
    for found in try solver.partialSVDs(of: OperatorBatch(a), count: 10) {
      expectAll(found, all, "in lockstep")
      #expect((found.certificate?.broughtIn ?? 0) > 0)
    }
  }

  /// With a clear gap, every solver proves the count, and S lies between the next value and the last one.
  @Test(arguments: SolverKind.allCases, [(120, 120), (150, 90), (90, 150)])
  func provesWhatIsThere(kind: SolverKind, shape: (Int, Int)) throws {
    let values = jacobianLike(90)
    let a = StrictOperator(
      operatorWithSpectrum(values, rows: shape.0, columns: shape.1, seed: 2))
    let found = try kind.solver(certify: .proof).partialSVD(of: a, count: 6)
    let certificate = try #require(found.certificate)
    let further = try #require(found.further)
    #expect(certificate.isProof && certificate.broughtIn == 0)
    #expect(certificate.deflated == 6 + further.singularValues.count)
    #expect(certificate.outside >= values[certificate.deflated] - 1e-12 * values[0])
    #expect(certificate.outside < values[5])
    #expect(found.report.applications == a.count)
    #expect(certificate.applications.passes < found.report.applications.passes)
    // Further triplets satisfy the equations as accurately as reported.
    let products = (a.apply(further.rightVectors), a.applyAdjoint(further.leftVectors))
    for (i, sigma) in further.singularValues.enumerated() {
      let norms = [
        zip(products.0.row(i), further.leftVectors.row(i)).map { $0 - sigma * $1 },
        zip(products.1.row(i), further.rightVectors.row(i)).map { $0 - sigma * $1 },
      ].map { Matrix([$0]).frobeniusNorm }
      #expect(abs(norms.max()! - further.residualNorms[i]) <= 1e-12 * values[0])
      #expect(abs(sigma - values[6 + i]) <= further.residualNorms[i] + 1e-12 * values[0])
    }
  }

  /// A cluster at the cut is followed to its end, if the end is within reach.
  @Test(arguments: SolverKind.allCases)
  func followsAClusterToItsEnd(kind: SolverKind) throws {
    let cluster = (0..<9).map { 2 + 1e-7 * Double($0) }
    let values = ([5, 4, 3] + cluster + (1...80).map { 1 / Double($0) }).sorted(by: >)
    let a = operatorWithSpectrum(values, rows: 92, columns: 92, seed: 5)
    let found = try kind.solver().partialSVD(of: a, count: 6).requireConverged()
    let further = try #require(found.further)
    #expect(further.singularValues.count >= 6)
    for i in 0..<6 {
      #expect(abs(further.singularValues[i] - values[6 + i]) < 2.1e-5 * 5)
      #expect(further.residualNorms[i] <= 1e-5 * 5)
    }
    let flat = operatorWithSpectrum(
      Array(repeating: 1, count: 80), rows: 80, columns: 80, seed: 1)
    let all = try kind.solver().partialSVD(of: flat, count: 6).requireConverged()
    let certificate = try #require(all.certificate)
    #expect(certificate.outside >= 1 - 1e-12 && certificate.outside < 1 + 3e-5)
  }

  @Test(arguments: SolverKind.allCases)
  func nothingIsLookedForWhereNothingIsAskedFor(kind: SolverKind) throws {
    let a = operatorWithSpectrum(jacobianLike(80), rows: 80, columns: 80, seed: 5)
    let off = try kind.solver(certify: .off).partialSVD(of: a, count: 6)
    #expect(off.certificate == nil && off.further == nil)
    let bound = try kind.solver(certify: .bound).partialSVD(of: a, count: 6)
    let proof = try kind.solver(certify: .probability(1e-12)).partialSVD(of: a, count: 6)
    #expect(try #require(bound.certificate).outside <= 1.1 * bound.singularValues[5])
    #expect(try #require(proof.certificate).failureProbability <= 1e-12)
    #expect(
      bound.report.applications.passes <= proof.report.applications.passes
        && off.report.applications.passes <= bound.report.applications.passes)
    for δ in [0, 1, -1, .nan] as [Double] {
      #expect(throws: SolverError.self) {
        try kind.solver(certify: .probability(δ)).partialSVD(of: a, count: 6)
      }
    }
  }

  /// In a zero map nothing is missing; beside values of 0, nothing is proven about small ones.
  @Test(arguments: SolverKind.allCases)
  func degenerateMaps(kind: SolverKind) throws {
    let zero = try kind.solver().partialSVD(
      of: operatorWithSpectrum([0], rows: 30, columns: 40, seed: 1), count: 4)
    #expect(try #require(zero.certificate).outside == 0)
    let few = try kind.solver().partialSVD(
      of: operatorWithSpectrum([3, 2, 1], rows: 50, columns: 40, seed: 1), count: 8)
    #expect(try #require(few.certificate).outside < 1e-4)
    let all = try kind.solver().partialSVD(
      of: operatorWithSpectrum(jacobianLike(12), rows: 12, columns: 12, seed: 1), count: 12)
    #expect(
      try #require(all.certificate)
        == Certificate(
          outside: 0, failureProbability: 0, deflated: 12,
          residualNorm: all.certificate!.residualNorm, isProof: true))
  }

  @Test func modesAreSpelled() throws {
    for text in ["auto", "proof", "bound", "off", "1e-09"] {
      let mode = try #require(CertifyMode(text))
      #expect(mode.description == text)
      let json = try JSONEncoder().encode(mode)
      #expect(try JSONDecoder().decode(CertifyMode.self, from: json) == mode)
    }
    for text in ["", "on", "0", "1", "-1e-9", "nan", "2"] { #expect(CertifyMode(text) == nil) }
  }
}
