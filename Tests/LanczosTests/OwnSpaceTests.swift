import Foundation
import LinearAlgebra
import TestSupport
import Testing

@testable import Lanczos

/// What a solve proves with its own space, without a product.
@Suite struct OwnSpaceTests {
  private static let b = 6

  /// Values isolated, repeated fewer times than a block has vectors, as often and more often, in clusters at the top and
  /// below, all equal, and nearly so.
  private static let spectra: [(name: String, values: [Double])] = [
    ("1/√k", values { 1 / ($0 + 1).squareRoot() }),
    ("pairs", values { 3 - 0.1 * ($0 / 2).rounded(.down) }),
    ("block − 2 equal", copies(4)),
    ("block equal", copies(6)),
    ("block + 2 equal", copies(8)),
    ("cluster below", values { $0 < 2 ? 5 - $0 / 2 : $0 < 11 ? 4 - 1e-5 * $0 : 2 - $0 / 30 }),
    ("identity plus small", values { 1 + 1e-3 * $0.truncatingRemainder(dividingBy: 5) }),
    ("plateau", values { $0 < 2 ? 3 - $0 / 2 : 2 }),
  ]

  private static func values(_ value: (Double) -> Double) -> [Double] {
    (0..<48).map { value(Double($0)) }.sorted(by: >)
  }

  private static func copies(_ count: Double) -> [Double] {
    values { $0 < count ? 3 : 2 - $0 / 30 }
  }

  /// A statement is wrong with probability δ at most: counted over seeds, for every product of each solve, with a δ so
  /// large that wrong ones would be seen.
  @Test(arguments: spectra.indices, [0.5, 0.1])
  func wrongNoMoreOftenThanStated(spectrum: Int, δ: Double) throws {
    let values = Self.spectra[spectrum].values
    let seeds = 40
    var (wrong, statements) = (0, 0)
    for seed in 0..<UInt64(seeds) {
      let a = CheckedOperator(
        operatorWithSpectrum(values, rows: 48, columns: 48, seed: seed + 7), isTall: true)
      var process = BlockBidiagonalization(of: a, blockSize: Self.b, seed: seed)
      var isWrong = false
      while try process.expand(by: a), !process.isComplete {
        let space = try OwnSpace(process, values: 16, failureProbability: δ)
        guard let stated = space?.largestExclusion(upTo: 16) else { continue }
        statements += 1
        // Rounding: a few hundred ε.
        isWrong = isWrong || values[stated.count] > stated.limit + 1e-12 * values[0]
      }
      if isWrong { wrong += 1 }
    }
    // Four standard deviations of a frequency.
    let n = Double(seeds)
    #expect(Double(wrong) <= δ * n + 4 * (δ * (1 - δ) * n).squareRoot(), "\(wrong) of \(seeds)")
    #expect(statements > 0 || ![0, 2].contains(spectrum))
  }

  /// The bound of the terms from d on holds wherever it is looked at, and falls. As |θᵢ² − m| ≤ m, it is never above
  /// Σ ‖rᵢ‖ ‖cᵢ‖ / (s² − θ_d²), times s with U₊ pending.
  @Test(arguments: spectra.indices) func farTermsAreBounded(spectrum: Int) throws {
    let a = CheckedOperator(
      operatorWithSpectrum(Self.spectra[spectrum].values, rows: 48, columns: 48, seed: 5),
      isTall: true)
    var process = BlockBidiagonalization(of: a, blockSize: Self.b, seed: 3)
    var compared = 0
    while try process.expand(by: a), !process.isComplete {
      guard let space = try OwnSpace(process, values: 16, failureProbability: 0.1) else { continue }
      for d in [1, 2, 5, 12] where d < space.values.count && space.values[d] > 0 {
        let far = OwnSpace.FarField(space, from: d)
        let sizes = space.sizes[d...].reduce(0, +)
        var farther = 0.0
        // From 1000 θ_d down to 1.001 θ_d, nearer by a sixth each time.
        for step in 0..<76 {
          let s = space.values[d] * (1 + 1000 * pow(5 / 6, Double(step)))
          let (bound, norm) = (far.bound(s), space.rest(s, from: d).frobeniusNorm)
          let most =
            (space.isForward ? 1 : s) * sizes
            / ((s - space.values[d]) * (s + space.values[d]))
          // Fewer than a hundred terms, which may cancel to rounding.
          #expect(bound >= norm - 1e-13 * most, "d \(d), s \(s)")
          #expect(bound <= most * (1 + 1e-10), "d \(d), s \(s)")
          #expect(bound >= farther, "d \(d), s \(s)")
          (farther, compared) = (bound, compared + 1)
        }
      }
    }
    #expect(compared > 1000)
  }

  /// A space has no more copies of a value than its block has vectors, and no statement is made about the others.
  @Test func copiesBeyondTheBlockAreLeftOpen() throws {
    let values = Self.copies(8)
    for seed in 0..<20 as Range<UInt64> {
      let a = CheckedOperator(
        operatorWithSpectrum(values, rows: 48, columns: 48, seed: seed), isTall: true)
      var process = BlockBidiagonalization(of: a, blockSize: Self.b, seed: seed)
      while try process.expand(by: a), !process.isComplete {
        let space = try OwnSpace(process, values: 16, failureProbability: 1e-6)
        if let stated = space?.largestExclusion(upTo: 16) {
          #expect(values[stated.count] < stated.limit)
        }
      }
    }
  }

  /// An ordinary spectrum is proven without a product beyond those of the solve, tightly, and at any scale.
  @Test(arguments: [CertifyMode.auto, .proof, .bound], [1, 1e-150, 1e150])
  func provesAnOrdinarySpectrum(certify: CertifyMode, scale: Double) throws {
    let values = jacobianLike(160).map { $0 * scale }
    let a = operatorWithSpectrum(values, rows: 160, columns: 160, seed: 3)
    let found = try BlockLanczosSolver(seed: 1, certify: certify).partialSVD(of: a, count: 8)
    let certificate = try #require(found.certificate)
    #expect(certificate.isProof && certificate.applications == ApplicationCount())
    #expect(certificate.failureProbability == 0.5e-6)
    #expect(certificate.outside >= values[certificate.deflated])
    #expect(certificate.outside < 0.9 * values[7] + 0.1 * values[8])
  }

  /// A space that began with given vectors, with too few, or has been restarted says nothing.
  @Test func needsItsGaussianBlock() throws {
    let a = CheckedOperator(
      operatorWithSpectrum(jacobianLike(60), rows: 60, columns: 60, seed: 3), isTall: true)
    var given = BlockBidiagonalization(
      of: a, startingWith: BlockBidiagonalization(of: a, blockSize: 6).pending)
    var narrow = BlockBidiagonalization(of: a, blockSize: 2)
    var whole = BlockBidiagonalization(of: a, blockSize: 6)
    for _ in 0..<8 {
      try given.expand(by: a)
      try narrow.expand(by: a)
      try whole.expand(by: a)
    }
    #expect(try OwnSpace(given, values: 8, failureProbability: 1e-6) == nil)
    #expect(try OwnSpace(narrow, values: 8, failureProbability: 1e-6) == nil)
    #expect(try OwnSpace(whole, values: 8, failureProbability: 1e-6) != nil)
    try whole.restart(keeping: 8)
    try whole.expand(by: a)
    #expect(try OwnSpace(whole, values: 8, failureProbability: 1e-6) == nil)
  }

  /// P(σ_min ≤ η) ≤ δ, and nearly equal to it for small δ.
  @Test(arguments: [(3, 2), (4, 1), (4, 3), (8, 1), (8, 2), (8, 5), (8, 8)])
  func leastSingularValueIsAQuantile(rows: Int, columns: Int) throws {
    let (δ, n) = (0.05, 4000)
    let η = GaussianBlock.leastSingularValue(
      rows: rows, columns: columns, failureProbability: δ)
    var generator = SeededGenerator(seed: 1)
    var below = 0
    for _ in 0..<n {
      let g = generator.normalMatrix(rows: rows, columns: columns)
      if try g.singularValues()[columns - 1] <= η { below += 1 }
    }
    let deviation = (δ * Double(n)).squareRoot()
    #expect(Double(below) <= δ * Double(n) + 4 * deviation)
    #expect(Double(below) >= 0.4 * δ * Double(n) - 4 * deviation)
  }
}
