import Alignment
import LinearAlgebra

/// What a journal holds for a group's Jacobians at one block, read one at a time, so that only one is in memory.
struct KeptBlock {
  /// The block, from 1.
  let layer: Int
  /// The journal's folder, for messages.
  let path: String
  /// The seconds of the solve per Jacobian.
  let seconds: Double
  /// The precision of the products that measured each Jacobian's residual norms.
  let precisions: [ProductPrecision]
  /// The noise of those products.
  let noise: MeasuredNoise
  /// Whether each Jacobian has triplets.
  let isSolved: [Bool]
  /// Reads the triplets of a Jacobian, with their vectors if `hasVectors`.
  let readTriplets: (_ jacobian: Int, _ hasVectors: Bool) throws -> SingularTriplets?
  /// ‖J‖_F of each Jacobian, nil for those without couplings; nil as a whole until couplings are known.
  let frobeniusNorms: [FrobeniusNorm?]?
  /// Reads the couplings of a Jacobian.
  let readCouplings: (_ jacobian: Int) throws -> JacobianCouplings?

  /// The triplets of a Jacobian that has them. Throws `RunError.lostUnit` if they are gone.
  func triplets(_ jacobian: Int, hasVectors: Bool = true) throws -> SingularTriplets {
    guard let found = try readTriplets(jacobian, hasVectors) else { throw lost }
    return found
  }

  /// The couplings of a Jacobian that has them. Throws `RunError.lostUnit` if they are gone.
  func couplings(_ jacobian: Int) throws -> JacobianCouplings {
    guard let found = try readCouplings(jacobian) else { throw lost }
    return found
  }

  /// The noise of the operator that a Jacobian's triplets belong to; nil if it was not measured.
  func noise(of jacobian: Int, margin: Double = MeasuredNoise.margin) -> OperatorNoise? {
    noise.of(jacobian, precisions[jacobian], margin: margin)
  }

  private var lost: RunError {
    .lostUnit(path: path, unit: "what was found at block \(layer)")
  }
}

extension KeptBlock {
  /// A block whose results are in memory.
  init(_ solved: SolvedBlock, _ couplings: [JacobianCouplings?]?, layer: Int) {
    self.init(
      layer: layer, path: "the run", seconds: solved.seconds, precisions: solved.precisions,
      noise: solved.noise,
      isSolved: solved.triplets.map { $0 != nil }, readTriplets: { p, _ in solved.triplets[p] },
      frobeniusNorms: couplings.map { $0.map { $0?.frobeniusNorm } },
      readCouplings: { couplings?[$0] })
  }
}
