public import LinearAlgebra

/// The sums from which averaged Jacobians are computed, after some of the prompts, in the directions of a
/// `LensSketch`.
///
/// For a prompt p, S_p is the sum over its n_p source positions, and J = Σ S_p / N with N = Σ n_p. Stored are Σ M S_p
/// over two disjoint halves of the prompts, taken in turns, and Σ ‖M S_p‖² / n_p. All of these are additive: sums of
/// shards can be added.
public struct LensSums: Equatable, Sendable {
  /// The sums over one half of the prompts.
  public struct Half: Equatable, Sendable {
    /// The number of source positions.
    public var positions: Int
    /// Σ M S_p, one (s + q, d) matrix per boundary.
    public var products: [Matrix<Double>]

    /// Creates a half from its sums.
    public init(positions: Int = 0, products: [Matrix<Double>]) {
      (self.positions, self.products) = (positions, products)
    }
  }

  /// The number of prompts added so far.
  public private(set) var prompts = 0
  /// The halves: prompts at even indices of the list, and those at odd ones.
  public private(set) var halves: [Half]
  /// Σ ‖M S_p‖_F² / n_p, one per boundary.
  public private(set) var squares: [Double]

  /// Sums over no prompts yet.
  public init(_ sketch: LensSketch, boundaries: Int) {
    let rows = sketch.basis.rows + sketch.probes.rows
    let nothing = Half(
      products: Array(
        repeating: Matrix(rows: rows, columns: sketch.width), count: boundaries))
    halves = [nothing, nothing]
    squares = Array(repeating: 0, count: boundaries)
  }

  /// Creates sums from stored ones. Precondition: two halves, with as many boundaries as there are squares.
  public init(prompts: Int, halves: [Half], squares: [Double]) {
    precondition(halves.count == 2, "\(halves.count) halves instead of 2")
    precondition(halves.allSatisfy { $0.products.count == squares.count }, "boundaries differ")
    (self.prompts, self.halves, self.squares) = (prompts, halves, squares)
  }

  /// Adds M [S_p,0 … S_p,L−1] (s + q, boundaries · d) of the prompt at index `place` of the list, with its number of
  /// positions.
  public mutating func add(_ products: Matrix<Double>, positions: Int, place: Int) {
    precondition(positions > 0, "the prompt has no positions")
    let (half, d) = (place % 2, halves[0].products[0].columns)
    precondition(products.columns == d * squares.count, "products differ in boundaries")
    for l in squares.indices {
      var square = 0.0
      for i in 0..<products.rows {
        let from = i * products.columns + l * d
        for j in 0..<d {
          let value = products.elements[from + j]
          halves[half].products[l].elements[i * d + j] += value
          square += value * value
        }
      }
      squares[l] += square / Double(positions)
    }
    halves[half].positions += positions
    prompts += 1
  }

  /// Adds the sums over other prompts. Precondition: they have the same directions and boundaries.
  public mutating func add(_ other: LensSums) {
    precondition(squares.count == other.squares.count, "boundaries differ")
    for h in halves.indices {
      halves[h].positions += other.halves[h].positions
      for l in squares.indices {
        let theirs = other.halves[h].products[l].elements
        for i in theirs.indices { halves[h].products[l].elements[i] += theirs[i] }
      }
    }
    for l in squares.indices { squares[l] += other.squares[l] }
    prompts += other.prompts
  }

  /// N, the number of source positions.
  public var positions: Int { halves[0].positions + halves[1].positions }

  /// M J (s + q, d) at a boundary, by its index. Precondition: there are positions.
  public func mean(_ place: Int) -> Matrix<Double> {
    var mean = halves[0].products[place]
    let other = halves[1].products[place].elements
    let scale = 1 / Double(positions)
    for i in mean.elements.indices { mean.elements[i] = (mean.elements[i] + other[i]) * scale }
    return mean
  }

  /// The standard error of the mean: √(σ²/N), where σ² = Σ n_p ‖M (S_p/n_p − J)‖_F² / (P − 1) is the variance of a
  /// position's Jacobian if prompts are independent; nil for a single prompt.
  ///
  /// If all n_p are equal, this is the usual standard error of a mean, summed over all entries.
  public func standardError(_ place: Int) -> Double? {
    guard prompts > 1 else { return nil }
    let norm = mean(place).frobeniusNorm
    let n = Double(positions)
    // Σ n_p ‖S_p/n_p − J‖² = Σ ‖S_p‖²/n_p − N ‖J‖², which is negative only by rounding.
    let spread = max(0, squares[place] - n * norm * norm)
    return (spread / Double(prompts - 1) / n).squareRoot()
  }

  /// An estimate of the chance difference ‖J − J′‖_F of the means over two such lists of prompts, from the two
  /// halves: they differ by ‖D‖, and N₁ N₂ / N² ‖D‖² estimates E ‖J − E J‖²; for two lists it is twice that.
  ///
  /// nil if a half is empty.
  public func noise(_ place: Int) -> Double? {
    let (n, m) = (Double(halves[0].positions), Double(halves[1].positions))
    guard n > 0, m > 0 else { return nil }
    var difference = halves[0].products[place]
    let other = halves[1].products[place].elements
    for i in difference.elements.indices {
      difference.elements[i] = difference.elements[i] / n - other[i] / m
    }
    return difference.frobeniusNorm * (2 * n * m).squareRoot() / (n + m)
  }
}
