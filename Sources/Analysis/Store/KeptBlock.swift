import Alignment
import LinearAlgebra

/// What a journal holds of a group's Jacobians at one block, read one at a time, so that only one is in memory.
struct KeptBlock {
  /// The block, from 1, and where the journal is, for messages.
  let layer: Int
  let path: String
  /// How long the solve took for each Jacobian.
  let seconds: Double
  /// Which products measured each Jacobian's residual norms.
  let precisions: [ProductPrecision]
  /// How far those are from what is meant.
  let noise: MeasuredNoise
  /// Problems that have triplets.
  let isSolved: [Bool]
  /// The triplets of a Jacobian, without their vectors if those are not asked for.
  let readTriplets: (_ jacobian: Int, _ hasVectors: Bool) throws -> SingularTriplets?
  /// ‖J‖_F of every Jacobian, nil for those without couplings; nil while couplings are not known at all.
  let frobeniusNorms: [FrobeniusNorm?]?
  /// The couplings of a Jacobian.
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

  /// How far the operator that a Jacobian's triplets are of is from what is meant; nil if that was not measured.
  func noise(of jacobian: Int, margin: Double = MeasuredNoise.margin) -> OperatorNoise? {
    noise.of(jacobian, precisions[jacobian], margin: margin)
  }

  private var lost: RunError {
    .lostUnit(path: path, unit: "what was found at block \(layer)")
  }
}

extension KeptBlock {
  /// Of what is in memory anyway.
  init(_ solved: SolvedBlock, _ couplings: [JacobianCouplings?]?, layer: Int) {
    self.init(
      layer: layer, path: "the run", seconds: solved.seconds, precisions: solved.precisions,
      noise: solved.noise,
      isSolved: solved.triplets.map { $0 != nil }, readTriplets: { p, _ in solved.triplets[p] },
      frobeniusNorms: couplings.map { $0.map { $0?.frobeniusNorm } },
      readCouplings: { couplings?[$0] })
  }
}
