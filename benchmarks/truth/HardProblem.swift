import LinearAlgebra

/// One map to solve, and its true triplets.
struct HardProblem: Sendable {
  /// The precision in which a map computes.
  enum Precision: String, CaseIterable, Sendable { case float64, float32 }

  let kind: HardSpectrum
  let size: Int
  /// The number of triplets, K.
  let count: Int
  let seed: UInt64
  /// The true singular values, largest first.
  let values: [Double]
  private let core: MapCore
  private let left: [[Double]]
  private let right: [[Double]]
  /// The coordinate on the diagonal of the i-th value.
  private let places: [Int]

  /// Creates a problem; `start` is the seed that its solver will get.
  init(_ kind: HardSpectrum, size n: Int, count: Int, seed: UInt64, start: UInt64) throws {
    (self.kind, size, self.count, self.seed) = (kind, n, count, seed)
    var random = SeededGenerator(seed: seed &* 0x1_0001 &+ UInt64(n * 64 + count))
    func signs() -> [Double] { (0..<n).map { _ in Bool.random(using: &random) ? 1 : -1 } }
    switch kind {
    case .copiedBlock:
      let copies = n % 16 == 0 ? 16 : 4
      // Numbers that are exact in single precision.
      var block = random.normalMatrix(rows: n / copies, columns: n / copies)
      for i in block.elements.indices { block.elements[i] = Double(Float(block.elements[i])) }
      core = .copies(block)
      values = try block.singularValueDecomposition().values.flatMap {
        Array(repeating: $0, count: copies)
      }
      (left, right, places) = ([], [], [])
    case .cycle:
      core = .ring
      values = kind.values(size: n, count: count, using: &random)
      (left, right, places) = ([], [], [])
    default:
      values = kind.values(size: n, count: count, using: &random)
      left = [signs(), signs()]
      var places = Array(0..<n)
      if kind == .unseen {
        // x is orthogonal to every row that any solver starts with, and H = I − β w wᵀ takes x to e₀.
        let rows = min(40, n - 2)
        var generator = SeededGenerator(seed: start)
        var basis = generator.normalMatrix(rows: rows, columns: n).elements
        basis += (0..<n).map { _ in random.normal() }
        var x = Array(
          Matrix(rows: rows + 1, columns: n, elements: basis).orthonormalizedRows().row(rows))
        x[0] -= 1
        right = [x]
        places = [0] + places.dropFirst().shuffled(using: &random)
      } else {
        right = [signs(), signs()]
        places.shuffle(using: &random)
      }
      var diagonal = [Double](repeating: 0, count: n)
      for (place, value) in zip(places, values) { diagonal[place] = value }
      core = .diagonal(diagonal)
      self.places = places
    }
  }

  /// The map in double precision.
  func meant() -> any LinearOperator {
    HardOperator<Double>(size: size, core, left: left, right: right)
  }

  /// The map in the precision in which it is applied.
  func applied(in precision: Precision) -> any LinearOperator {
    switch precision {
    case .float64: meant()
    case .float32: HardOperator<Float>(size: size, core, left: left, right: right)
    }
  }

  /// The sines of the angles between both found vectors i and the true ones; nil if the true ones are not known.
  func sines(_ found: SingularTriplets, _ i: Int) -> Double? {
    guard !places.isEmpty else { return nil }
    // vᵢ = H₁ H₂ … e.
    let sine = { (row: ArraySlice<Double>, reflections: [[Double]]) in
      var x = Array(row)
      for vector in reflections { Reflection<Double>(vector).apply(to: &x) }
      x[places[i]] = 0
      return x.reduce(0) { $0 + $1 * $1 }.squareRoot()
    }
    // A sine is at most 1, also if rounding changes the norm of a unit vector.
    return min(
      1,

      max(sine(found.rightVectors.row(i), right), sine(found.leftVectors.row(i), left.reversed())))
  }
}
