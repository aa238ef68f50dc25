public import LinearAlgebra

/// Block Golub–Kahan bidiagonalisation: orthonormal U and V, and the small H = Uᵀ A V, grown a block at a time.
///
/// Started from a random block of V, it applies A to the newest block of V and Aᵀ to the newest block of U in turn;
/// what is new in each product becomes the next block. With every vector but the newest block applied,
/// A V = U H and Aᵀ U = V Hᵀ hold to the operator's rounding except where the newest block enters. Nothing is squared.
/// Golub, Luk, Overton, "A block Lanczos method for computing the singular values and corresponding singular vectors
/// of a matrix", ACM TOMS 7, 1981. Restarted as by Baglama and Reichel, "Restarted block Lanczos bidiagonalization
/// methods", Numer. Algorithms 43, 2006.
///
/// It can be iterated from outside, one block per application. After every step the bases, the projected matrix, and
/// Ritz triplets with their residual norms can be inspected, and the bases may grow without limit:
///
///     let a = CheckedOperator(jacobian, isTall: true)
///     var process = BlockBidiagonalization(of: a, blockSize: 4)
///     while try process.expand(by: a) {
///       let ritz = try process.ritzTriplets(6)
///       print(process.right.count, process.projected.rows, ritz.values, ritz.residualNorms)
///       if ritz.values.count == 6, ritz.residualNorms.max()! < 1e-6 { break }
///     }
///
/// `pending` and `absorb` are the two halves of a step, for callers that apply many operators at once. In a team each
/// member holds its elements of U and V; H is the same in all up to rounding, and its decompositions to the bit.
public struct BlockBidiagonalization: Sendable {
  /// V, as rows in ℝⁿ, n ≤ m.
  public private(set) var right: OrthonormalBasis
  /// U, as rows in ℝᵐ.
  public private(set) var left: OrthonormalBasis
  /// H, (left, right).
  public private(set) var projected: Matrix<Double>
  /// The side of the newest block, which waits for its product: rows of V (`forward`) or of U (`adjoint`), up to the
  /// last.
  public private(set) var direction = ProductDirection.forward
  private(set) var newest = 0
  /// R of the last new block in each direction: A or Aᵀ on what the basis does not span yet.
  private var beyond: (forward: Matrix<Double>?, adjoint: Matrix<Double>?)
  /// The leading left vectors of H (of Hᵀ with U pending) from the last estimate, with their σ²; nil once H has
  /// grown.
  private(set) var leading: (squares: [Double], vectors: Matrix<Double>)?
  /// R of the Gaussian block G = R V_start that the space grew from; nil if it began otherwise or has been restarted.
  private(set) var start: Matrix<Double>?
  private var generator: SeededGenerator

  /// The space of V; U is held by the same members.
  var space: VectorSpace { right.space }

  /// Starts from `blockSize` random vectors. Precondition: the operator is tall, n ≤ m.
  public init(of a: CheckedOperator, blockSize: Int, seed: UInt64 = 0) {
    precondition(blockSize >= 1, "a block has at least one vector")
    var generator = SeededGenerator(seed: seed)
    let block = a.inputSpace.normalVectors(min(blockSize, a.inputDimension), using: &generator)
    self.init(of: a, block, generator, isGaussian: true)
  }

  /// Starts from the span of given vectors, the rows of `block` (b, n). Precondition: the operator is tall, n ≤ m.
  public init(of a: CheckedOperator, startingWith block: Matrix<Double>, seed: UInt64 = 0) {
    self.init(of: a, block, SeededGenerator(seed: seed), isGaussian: false)
  }

  private init(
    of a: CheckedOperator, _ block: Matrix<Double>, _ generator: SeededGenerator, isGaussian: Bool
  ) {
    precondition(a.inputDimension <= a.outputDimension, "take the adjoint of a wide operator")
    self.init(
      into: a.outputSpace, startingWith: block, in: a.inputSpace, generator,
      isGaussian: isGaussian)
  }

  /// Starts from the span of given vectors (b, n) of an operator between these spaces, n ≤ m.
  init(
    into outputs: VectorSpace, startingWith block: Matrix<Double>, in inputs: VectorSpace,
    _ generator: SeededGenerator, isGaussian: Bool = false
  ) {
    self.generator = generator
    right = OrthonormalBasis(of: inputs)
    left = OrthonormalBasis(of: outputs)
    let (_, beyond) = right.append(block, using: &self.generator)
    start = isGaussian ? beyond : nil
    projected = Matrix(rows: 0, columns: right.count)
  }

  /// Starts from triplets found elsewhere, A V = U Σ; nothing is pending until `appendRandom`.
  init(_ found: RitzTriplets, seed: UInt64) {
    generator = SeededGenerator(seed: seed)
    right = OrthonormalBasis(of: found.rightSpace)
    left = OrthonormalBasis(of: found.leftSpace)
    right.append(found.right, using: &generator)
    left.append(found.left, using: &generator)
    projected = Matrix(rows: left.count, columns: right.count)
    for (i, sigma) in found.values.enumerated() { projected[i, i] = sigma }
    newest = right.count
  }

  /// Appends a Gaussian block G as the pending block, without what V already spans: G (I − VᵀV) = R Q. Returns R.
  /// Precondition: nothing is pending.
  mutating func appendRandom(_ blockSize: Int) -> Matrix<Double> {
    let block = right.space.normalVectors(blockSize, using: &generator)
    let (_, beyond) = right.append(block, using: &generator)
    projected = projected.resized(rows: left.count, columns: right.count)
    return beyond
  }

  /// The vectors to apply next, with A or Aᵀ according to `direction`.
  public var pending: Matrix<Double> {
    direction == .forward ? right.vectors(from: newest) : left.vectors(from: newest)
  }

  /// Whether V spans ℝⁿ and all of it has been applied, so that A V = U H determines A.
  public var isComplete: Bool { direction == .adjoint && right.count == right.dimension }

  /// Takes one step: applies the operator to the pending block, in one application. Returns false, and does nothing,
  /// if complete.
  ///
  /// Throws `OperatorError` if the product is not finite.
  @discardableResult
  public mutating func expand(by a: CheckedOperator) throws -> Bool {
    guard !isComplete else { return false }
    let pending = pending
    absorb(try a.products(direction, of: pending, width: pending.rows))
    return true
  }

  /// Takes the product A V or Aᵀ U of the pending vectors; the next block is pending on the other side.
  public mutating func absorb(_ products: Matrix<Double>) {
    leading = nil
    if direction == .forward {
      // Column j of H, for j pending: A vⱼ = C B + R Q.
      let old = left.count
      let (onto, beyond) = left.append(products, using: &generator)
      projected = projected.resized(rows: left.count, columns: right.count)
      for j in 0..<products.rows {
        for i in 0..<onto.columns { projected[i, newest + j] = onto[j, i] }
        for i in 0..<beyond.columns { projected[old + i, newest + j] = beyond[j, i] }
      }
      self.beyond.forward = beyond
      (direction, newest) = (.adjoint, old)
    } else {
      // Row i of H, for i pending, is known from A V except for the new vectors of V.
      let old = right.count
      let (_, beyond) = right.append(products, using: &generator)
      projected = projected.resized(rows: left.count, columns: right.count)
      for i in 0..<products.rows {
        for j in 0..<beyond.columns { projected[newest + i, old + j] = beyond[i, j] }
      }
      self.beyond.adjoint = beyond
      (direction, newest) = (.forward, old)
    }
  }

  /// The `count` best triplets of the bases, or as many as there are, with their residual norms, which need no
  /// application.
  ///
  /// With V pending and H = [P Σ Qᵀ, C]: A v = σ u for v = q V and u = p U, and the part of Aᵀ u beyond σ v is pᵀ C
  /// in the pending block. With U pending the same is true of Aᵀ; once all of V is applied no residual is left.
  public func ritzTriplets(_ count: Int) throws(LAPACKError) -> RitzTriplets {
    let isForward = direction == .forward
    // (the side that is fully applied, the side that ends in the pending block)
    let h = isForward ? projected : projected.transposed
    let known = isComplete ? h.columns : newest
    let (p, values, q) = try space.singularValueDecomposition(h.narrowed(to: known))
    let k = min(count, values.count)
    let rest = Matrix.product(p.prefix(k), .none, h.dropping(rows: 0, columns: known))
    let (whole, applied) = (p.prefix(k), q.prefix(k))
    return RitzTriplets(
      values: Array(values.prefix(k)), left: left.combinations(isForward ? whole : applied),
      left.space, right: right.combinations(isForward ? applied : whole), right.space,
      residualNorms: space.agreed(rest.rowNorms))
  }

  /// Estimates of the residual norms of the `count` largest triplets and of up to `further` more, relative to σ₁, as
  /// they will be once their vectors of the pending side have been applied (`ritzVectors`); nil while there are too
  /// few vectors.
  ///
  /// With V pending and H = Σ σ p qᵀ, u = pᵀ U, v = qᵀ V: Aᵀ u = σ v already, and A v − σ u = e is the part of A
  /// times the pending part of v that lies outside U, about ‖R‖ ‖q_pending‖ with the last R. Rayleigh–Ritz over the
  /// fresh A v moves u to u + e/σ, which leaves Aᵀ e / σ. With U pending the same is true of Aᵀ. Only the pending
  /// rows of q matter: q = Hᵀ p / σ with p from H Hᵀ, whose squared condition number is good enough for an estimate.
  mutating func residualEstimates(
    _ count: Int, beyond further: Int = 0
  ) throws(LAPACKError) -> [Double]? {
    let held = min(left.count, right.count)
    guard held >= count, let forward = try beyond.forward?.spectralNorm(),
      let adjoint = try beyond.adjoint?.spectralNorm()
    else { return nil }
    let count = min(count + further, held)
    let isForward = direction == .forward
    let (squares, p) = try space.largestEigenpairs(
      of: projected.gram(isForward ? .none : .transposed), count)
    leading = (squares, p)
    let pendingPart =
      isForward
      ? projected.dropping(rows: 0, columns: newest)
      : projected.dropping(rows: newest, columns: 0).transposed
    let tails = Matrix.product(p, .none, pendingPart).rowNorms  // σ ‖q_pending‖
    let next = isForward ? forward : adjoint
    let both = (forward * forward + adjoint * adjoint).squareRoot()
    let largest = max(squares[0], 0).squareRoot()
    let estimates = tails.indices.map { i in
      let sigma = max(squares[i], 0).squareRoot()
      // Values below 1e-8 σ₁ are rounding of H Hᵀ.
      let norm =
        sigma > 1e-8 * largest ? next * min(tails[i] / sigma, 1) * min(both / sigma, 1) : next
      return norm > 0 ? norm / largest : 0
    }
    return space.agreed(estimates)
  }

  /// The `count` best vectors (count, n or m) of the pending side, to be applied in `direction`.
  ///
  /// They are taken from the last estimate, q = Hᵀ p / σ: their span is off by ε (σ₁ / σ)², which the Rayleigh–Ritz
  /// step over their products tolerates down to σ = 10⁻⁸ σ₁. For smaller values, or without an estimate, they come
  /// from the SVD of H.
  func ritzVectors(_ count: Int) throws(LAPACKError) -> Matrix<Double> {
    let isForward = direction == .forward
    let q: Matrix<Double>
    if let leading, leading.squares.count >= count,
      leading.squares[count - 1] > 1e-8 * leading.squares[0]
    {
      let p = leading.vectors.prefix(count)
      let combinations = Matrix.product(p, .none, projected, isForward ? .none : .transposed)
        .orthonormalizedRows()
      q = Matrix(
        rows: count, columns: combinations.columns, elements: space.agreed(combinations.elements))
    } else {
      let (p, _, right) = try space.singularValueDecomposition(projected)
      q = (isForward ? right : p).prefix(count)
    }
    return (isForward ? right : left).combinations(q)
  }

  /// Restarts thickly, with V pending: U and the applied part of V shrink to their `keep` best Ritz vectors.
  ///
  /// H = [P Σ Qᵀ, C] becomes [Σ, Pᵀ C]: the pending block and the recurrence after it go on unchanged.
  mutating func restart(keeping keep: Int) throws(LAPACKError) {
    precondition(direction == .forward, "a restart needs the pending block in V")
    let (p, sigma, q) = try space.singularValueDecomposition(projected.narrowed(to: newest))
    let link = Matrix.product(p.prefix(keep), .none, projected.dropping(rows: 0, columns: newest))
    let width = right.count - newest
    (leading, start) = (nil, nil)
    left.compress(p.prefix(keep))
    right.compress(q.prefix(keep))
    projected = Matrix(rows: keep, columns: keep + width)
    for i in 0..<keep {
      projected[i, i] = sigma[i]
      for j in 0..<width { projected[i, keep + j] = link[i, j] }
    }
    newest = keep
  }
}
