import LinearAlgebra
import Weights

/// What products with a Jacobian cost on this processor, by the number of vectors, and what orthogonalisation costs.
struct ProductTimes: Codable, Sendable, Equatable {
  /// The numbers of vectors that are measured. The space of a narrower block less often proves that nothing is missing: on
  /// SmolLM2-135M with 4 vectors for 27 of 30 Jacobians, with 6 for all, in the same time.
  static let blockSizes = [6, 8, 12, 16]

  /// The seconds of one product J V and one Jᵀ U, for each of `blockSizes`.
  let products: [Double]
  /// The seconds per multiplication and addition of a step of Gram–Schmidt.
  let orthogonalisation: Double

  init(products: [Double], orthogonalisation: Double) {
    (self.products, self.orthogonalisation) = (products, orthogonalisation)
  }

  /// Measures products with an operator, and steps of Gram–Schmidt, by the current engine; nil if other work on the machine
  /// disturbs them.
  ///
  /// Of several rounds the shortest time of each counts, if the second shortest confirms it: a round in which weights are read
  /// from a disk or another program computes is not one of these.
  init?(measuring a: some LinearOperator) {
    let length = min(a.inputDimension, Self.length)
    var products = Self.blockSizes.map { Products(of: a, vectors: $0) }
    let basis = [Double](repeating: 1e-3, count: Self.basis * length)
    var y = [Double](repeating: 1, count: Self.block * length)
    var coefficients = [Double](repeating: 0, count: Self.basis * Self.block)
    var times = Array(repeating: TwoShortest(), count: products.count + 1)
    // The first products also read the weights.
    products[0].compute()
    let start = monotonicSeconds()
    var (round, isConfirmed) = (0, false)
    repeat {
      for i in products.indices { times[i].measure { products[i].compute() } }
      times[products.count].measure {
        Engine.projectOut(
          basis, count: Self.basis, dimension: length, from: &y, vectors: Self.block,
          coefficients: &coefficients)
      }
      round += 1
      isConfirmed = times.allSatisfy(\.isConfirmed)
    } while round < 2
      || monotonicSeconds() - start < (isConfirmed ? Self.seconds.least : Self.seconds.most)
    guard isConfirmed else { return nil }
    self.products = times.dropLast().map(\.least)
    orthogonalisation =
      times[products.count].least / Double(2 * Self.basis * Self.block * length)
  }

  /// The vectors of the basis and of the block that Gram–Schmidt is measured with, and their greatest length.
  private static let (basis, block, length) = (64, 8, 2048)
  /// The seconds after which no round begins, apart from the first two, once all times are confirmed, and in any case.
  private static let seconds = (least: 0.05, most: 0.2)

  /// The products J V and Jᵀ U with some vectors.
  private struct Products<Operator: LinearOperator> {
    let a: Operator
    let vectors: Int
    private let v: [Double]
    private let u: [Double]
    private var y: [Double]
    private var x: [Double]

    init(of a: Operator, vectors: Int) {
      (self.a, self.vectors) = (a, vectors)
      v = Array(repeating: 1, count: vectors * a.inputDimension)
      u = Array(repeating: 1, count: vectors * a.outputDimension)
      (y, x) = (u, v)
    }

    mutating func compute() {
      let (a, v, u, b) = (a, v, u, vectors)  // a span lives as long as a local value
      var outputs = y.mutableSpan
      a.apply(v.span, into: &outputs, vectors: b)
      var inputs = x.mutableSpan
      a.applyAdjoint(u.span, into: &inputs, vectors: b)
    }
  }

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
