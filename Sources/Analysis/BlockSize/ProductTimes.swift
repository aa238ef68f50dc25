import LinearAlgebra
import Weights

/// What products with a weight matrix cost on this processor, by the number of vectors, and what orthogonalisation costs.
struct ProductTimes: Codable, Sendable, Equatable {
  /// The numbers of vectors that are measured.
  static let blockSizes = [4, 6, 8, 12, 16]

  /// The seconds of one product with the matrix and one with its transpose, for each of `blockSizes`.
  let products: [Double]
  /// The seconds per multiplication and addition of a step of Gram–Schmidt.
  let orthogonalisation: Double

  init(products: [Double], orthogonalisation: Double) {
    (self.products, self.orthogonalisation) = (products, orthogonalisation)
  }

  /// Measures products with a matrix, and steps of Gram–Schmidt, by the current engine; nil if other work on the machine disturbs
  /// them.
  ///
  /// Of several rounds the shortest time of each counts, if the second shortest confirms it: a round in which the matrix is read
  /// from a disk or another program computes is not one of these.
  init?(measuring matrix: StoredMatrix) {
    let (m, n, most) = (matrix.rows, matrix.columns, Self.blockSizes.max() ?? 1)
    let length = min(n, Self.length)
    let v = [Float](repeating: 1, count: n * most)
    var (u, x) = ([Float](repeating: 0, count: m * most), v)
    let basis = [Double](repeating: 1e-3, count: Self.basis * length)
    var y = [Double](repeating: 1, count: Self.block * length)
    var coefficients = [Double](repeating: 0, count: Self.basis * Self.block)
    var times = Array(repeating: TwoShortest(), count: Self.blockSizes.count + 1)
    let end = monotonicSeconds() + Self.budget
    var round = 0
    repeat {
      for (i, b) in Self.blockSizes.enumerated() {
        times[i].measure {
          Float.multiply(matrix, v, stride: b, into: &u, stride: b, vectors: b, accumulating: false)
          Float.multiplyAdjoint(
            matrix, u, stride: b, into: &x, stride: b, vectors: b, accumulating: false)
        }
      }
      times[Self.blockSizes.count].measure {
        Engine.projectOut(
          basis, count: Self.basis, dimension: length, from: &y, vectors: Self.block,
          coefficients: &coefficients)
      }
      round += 1
    } while round < 3 || round < 100 && monotonicSeconds() < end
    guard times.allSatisfy(\.isConfirmed) else { return nil }
    products = times.dropLast().map(\.least)
    orthogonalisation =
      times[Self.blockSizes.count].least / Double(2 * Self.basis * Self.block * length)
  }

  /// The vectors of the basis and of the block that Gram–Schmidt is measured with, and their greatest length.
  private static let (basis, block, length) = (64, 8, 2048)
  /// The seconds after which no round begins, apart from the first ones.
  private static let budget = 0.1

  /// The shortest and the second shortest of several times.
  private struct TwoShortest {
    private(set) var least = Double.infinity
    private var second = Double.infinity

    mutating func measure(_ work: () -> Void) {
      let start = monotonicSeconds()
      work()
      let seconds = monotonicSeconds() - start
      (least, second) = (min(least, seconds), max(least, min(second, seconds)))
    }

    /// Whether both agree, to less than what a choice needs.
    var isConfirmed: Bool { second <= 1.1 * least }
  }

  /// Whether these are times, of the numbers of vectors that this version measures.
  var isValid: Bool {
    products.count == Self.blockSizes.count
      && (products + [orthogonalisation]).allSatisfy { $0.isFinite && $0 > 0 }
  }
}
