import LinearAlgebra
import Weights

/// One solve by ARPACK or PARPACK: implicitly restarted Lanczos on AᵀA, a Rayleigh–Ritz step over A itself, and the search
/// for missed triplets.
struct GramSolve {
  let count: Int
  /// ncv, the number of basis vectors.
  let dimension: Int
  let restarts: Int
  let tolerance: Double
  let seed: UInt64
  let certify: CertifyMode
  /// The name of the solver that reports.
  let name: String
  /// MPI's communicator as Fortran knows it, for PARPACK; nil for ARPACK.
  let communicator: Int32?

  /// A solve with AᵀA of this order; `subspaceDimension` nil chooses. Throws `SolverError` if it is too small.
  init(
    count: Int, subspaceDimension: Int?, restarts: Int, tolerance: Double, seed: UInt64,
    certify: CertifyMode, order: Int, name: String, communicator: Int32? = nil
  ) throws(SolverError) {
    dimension = min(subspaceDimension ?? max(2 * count + 1, 20), order)
    guard dimension > count else {
      throw .invalidSetting(
        name: "subspaceDimension", value: "\(dimension)",
        remedy: "choose more than the \(count) triplets asked for")
    }
    (self.count, self.restarts, self.tolerance) = (count, restarts, tolerance)
    (self.seed, self.certify, self.name) = (seed, certify, name)
    self.communicator = communicator
  }

  /// The triplets of a tall A.
  func triplets(of a: CheckedOperator) throws -> SingularTriplets {
    let (outputs, inputs) = (a.outputSpace, a.inputSpace)
    let iteration = ARPACKIteration(
      space: inputs, communicator: communicator, count: count,
      further: certify == .off ? 0 : BlockLanczosSolver.further, subspaceDimension: dimension,
      restarts: restarts, tolerance: tolerance, seed: seed)
    var w = Matrix<Double>(rows: 1, columns: outputs.held.count)
    var scale: Double?
    // G = AᵀA / scale². ARPACK treats values below ε^⅔ as zero whatever the largest is, and A may have any scale: the
    // first product sets it. Aᵀ is applied to a vector of norm about 1, not to A v itself, because squared values
    // could overflow or underflow a single precision operator. Scaling by powers of two is exact.
    let found = try iteration.run { v, result in
      var forward = w.elements.mutableSpan
      try a.apply(.forward, v, into: &forward, vectors: 1)
      let product = w
      let norm = outputs.norms(w)[0]
      let size = Self.powerOfTwo(below: norm)
      for i in w.elements.indices { w.elements[i] /= size }
      try a.apply(.adjoint, w.elements.span, into: &result, vectors: 1)
      if scale == nil, norm > 0 {
        scale = size
        func row(_ x: Span<Double>) -> Matrix<Double> {
          Matrix(rows: 1, columns: x.count, elements: x.indices.map { x[$0] })
        }
        try a.checkAdjoint(v: row(v), av: product, u: w, atu: row(result.span))
      }
      let factor = size / (scale ?? 1)
      for i in result.indices { result[i] = result[i] / (scale ?? 1) * factor }
    }
    var ritz = try RitzTriplets(
      right: found.vectors, inputs,
      products: a.products(.forward, of: found.vectors, width: found.vectors.rows), outputs)
    ritz.measure(
      adjointProducts: try a.products(.adjoint, of: ritz.left, width: found.vectors.rows))
    if found.isConverged {
      let solve = try BlockLanczosSolve(
        ritz, spent: a.applications[0],
        BlockLanczosSolve.Task(
          count: count, tolerance: tolerance,
          subspaceDimension: min(max(256, 6 * count + 64), inputs.dimension), blockSize: 8,
          restartsAllowed: 100, certify: certify, seed: seed))
      try MemberError.ofOne { () throws(MemberError) in
        try BlockLanczosSolver.advance([solve], by: a, width: Engine.independentVectors)
      }
      return solve.triplets(
        of: a, solver: name, remedy: "use the block solver", restarts: found.restarts,
        subspaceDimension: dimension)
    }
    return a.triplets(
      ritz.prefix(count), solver: name, restarts: found.restarts, subspaceDimension: dimension,
      tolerance: tolerance, seed: seed,
      stop: .exhausted("raise restarts (now \(restarts)) or subspaceDimension (now \(dimension))"))
  }

  /// The largest power of two not above x; 1 for 0.
  private static func powerOfTwo(below x: Double) -> Double {
    x > 0 ? Double(sign: .plus, exponent: x.exponent, significand: 1) : 1
  }
}
