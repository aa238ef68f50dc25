import LinearAlgebra
import TestSupport
import Testing

@testable import Alignment

@Suite struct Lens {
  /// A lens fit on matrices: the Jacobians J of `boundaries` boundaries, each the mean over `prompts` prompts that
  /// differ by a share.
  struct Case {
    let matrices: [[Matrix<Double>]]  // by prompt and boundary, sums over positions
    let positions: [Int]

    init(_ values: [Double], boundaries: Int = 3, prompts: Int = 5, spread: Double = 0.1) {
      let d = values.count
      var generator = SeededGenerator(seed: 3)
      let common = (0..<boundaries).map {
        operatorWithSpectrum(values, rows: d, columns: d, seed: UInt64(7 + $0)).matrix
      }
      let size = common[0].frobeniusNorm / Double(d)
      positions = (0..<prompts).map { 4 + 3 * $0 }
      matrices = positions.map { n in
        common.map { j in
          var sum = generator.normalMatrix(rows: d, columns: d)
          for i in sum.elements.indices {
            sum.elements[i] = Double(n) * (j.elements[i] + spread * size * sum.elements[i])
          }
          return sum
        }
      }
    }

    func mean(_ l: Int) -> Matrix<Double> {
      let d = matrices[0][0].rows
      let total = Double(positions.reduce(0, +))
      return matrices.reduce(Matrix(rows: d, columns: d)) { sum, prompt in
        Matrix(
          rows: d, columns: d,
          elements: zip(sum.elements, prompt[l].elements).map { $0 + $1 / total })
      }
    }

    func sums(_ sketch: LensSketch, _ prompts: Range<Int>? = nil) -> LensSums {
      var sums = LensSums(sketch, boundaries: matrices[0].count)
      for p in prompts ?? matrices.indices {
        let parts = matrices[p].map { Matrix.product(sketch.cotangents, .none, $0) }
        let rows = (0..<sketch.cotangents.rows).flatMap { i in parts.flatMap { Array($0.row(i)) } }
        sums.add(
          Matrix(
            rows: sketch.cotangents.rows, columns: parts.count * sketch.width, elements: rows),
          positions: positions[p], place: p)
      }
      return sums
    }

    /// A sketch of K Kᵀ Ω from the first prompt alone.
    func sketch(samples: Int, probes: Int) -> LensSketch {
      var generator = SeededGenerator(seed: 5)
      let d = matrices[0][0].rows
      let omega = generator.normalMatrix(rows: samples, columns: d)
      let y = matrices[0].map {
        Matrix.product(.product(omega, .none, $0), .none, $0, .transposed)
      }.reduce(Matrix(rows: samples, columns: d)) { a, b in
        Matrix(rows: samples, columns: d, elements: zip(a.elements, b.elements).map { $0 + $1 })
      }
      return LensSketch(range: y, probes: probes, seed: 1009)
    }
  }

  /// In the whole space everything is exact: the triplets are those of the mean, and the error that of the best
  /// approximation of the rank.
  @Test func theWholeSpaceIsExact() throws {
    let c = Case(harmonic(20))
    let sketch = LensSketch(width: 20)
    let sums = c.sums(sketch)
    for l in 0..<3 {
      let j = c.mean(l)
      #expect((sums.mean(l) - j).frobeniusNorm < 1e-12 * j.frobeniusNorm)
      let layer = try LensLayer(sums.mean(l), in: sketch, rank: 6)
      let values = try j.singularValueDecomposition().values
      #expect(zip(layer.singularValues, values).allSatisfy { abs($0 - $1) < 1e-12 * values[0] })
      let best = values[6...].reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(abs(layer.truncationError - best) < 1e-10 * values[0])
      #expect(abs((j - layer.product).frobeniusNorm - best) < 1e-10 * values[0])
    }
  }

  /// The estimated error is the actual one. The variance of ‖Ω R‖²/q is 2 Σρᵢ⁴/q for the singular values ρ of the
  /// part missed; with q = 8 and at least 8 of them equal, a standard deviation is at most √(2/64) = 18 % of the
  /// square. A factor of √2 on the norm, at least 2.8 deviations, is safe for this seed and out of reach for a wrong
  /// estimate.
  @Test(arguments: [slow, flat, steep])
  func theErrorIsMeasured(values: [Double]) throws {
    let c = Case(values)
    let sketch = c.sketch(samples: 16, probes: 8)
    let sums = c.sums(sketch)
    for l in 0..<3 {
      let j = c.mean(l)
      let layer = try LensLayer(sums.mean(l), in: sketch, rank: 12)
      let error = (j - layer.product).frobeniusNorm
      #expect(layer.truncationError > error / 2.0.squareRoot())
      #expect(layer.truncationError < error * 2.0.squareRoot())
      #expect(abs(layer.frobeniusNorm / j.frobeniusNorm - 1) < 0.5)
    }
  }

  /// Σ n ‖S/n − J‖² / (P − 1) / N, computed directly.
  @Test func theStandardErrorIsThatOfTheMean() throws {
    let c = Case(harmonic(12), spread: 0.5)
    let sums = c.sums(LensSketch(width: 12))
    let total = Double(c.positions.reduce(0, +))
    for l in 0..<3 {
      let j = c.mean(l)
      let spread = zip(c.matrices, c.positions).reduce(0.0) { sum, prompt in
        var own = prompt.0[l]
        for i in own.elements.indices { own.elements[i] /= Double(prompt.1) }
        let norm = (own - j).frobeniusNorm
        return sum + Double(prompt.1) * norm * norm
      }
      let expected = (spread / Double(c.positions.count - 1) / total).squareRoot()
      let found = try #require(sums.standardError(l))
      #expect(abs(found - expected) < 1e-10 * expected)
    }
  }

  /// For prompts whose Jacobians scatter independently about one mean, the two halves estimate the difference of two
  /// such means, σ √(2/N), as the scatter over prompts does, up to chance. Both sum about 3 · 20² independent
  /// squares; a factor of 1.5 is far out of reach.
  @Test func theHalvesTellTheNoise() throws {
    let c = Case(harmonic(20), prompts: 8, spread: 0.5)
    // Equal numbers of positions, each with the same scatter.
    let sums = c.sums(LensSketch(width: 20))
    for l in 0..<3 {
      let noise = try #require(sums.noise(l))
      let error = try #require(sums.standardError(l))
      #expect(noise > 2.0.squareRoot() * error / 2 && noise < 2.0.squareRoot() * error * 2)
    }
  }

  /// The sums over parts of the prompts add up to the sums over all, up to the order of summation.
  @Test func sumsAreAdded() throws {
    let c = Case(harmonic(10))
    let sketch = c.sketch(samples: 4, probes: 3)
    let whole = c.sums(sketch)
    var parts = c.sums(sketch, 0..<2)
    parts.add(c.sums(sketch, 2..<5))
    #expect(parts.prompts == whole.prompts && parts.positions == whole.positions)
    for l in 0..<3 {
      let size = whole.mean(l).frobeniusNorm
      #expect((parts.mean(l) - whole.mean(l)).frobeniusNorm < 1e-13 * size)
      #expect(abs(parts.squares[l] - whole.squares[l]) < 1e-12 * whole.squares[l])
    }
  }

  /// The basis is orthonormal, and probes lie outside it; samples that span the whole space give the whole space.
  @Test func theProbesLieOutside() {
    let c = Case(harmonic(15))
    let sketch = c.sketch(samples: 5, probes: 4)
    let overlap = Matrix.product(sketch.basis, .none, sketch.probes, .transposed)
    #expect(overlap.elements.allSatisfy { abs($0) < 1e-12 })
    #expect((sketch.basis.gram() - .identity(5)).frobeniusNorm < 1e-12)
    #expect(c.sketch(samples: 15, probes: 4).isDense)
  }
}

/// Spectra that decay like those of trained models' Jacobians, not at all, and at once.
private let slow: [Double] = (1...60).map { 10 / Double($0).squareRoot() }
private let flat = [Double](repeating: 1, count: 60)
private let steep: [Double] = (0..<60).map { $0 < 12 ? 5 : 0.05 }
private func harmonic(_ n: Int) -> [Double] { (1...n).map { 3 / Double($0) } }
