import Alignment
import LinearAlgebra

/// Triplets beyond those asked for, as recorded, without their vectors.
public struct FurtherRecord: Codable, Sendable, Equatable {
  /// The singular values after the requested ones.
  public var singularValues: [Double]
  /// The measured residual norms, which need not be within the tolerance.
  public var residualNorms: [Double]
  /// An upper bound on the error of each value.
  public var bound: [Double]
}

/// A record of triplets with bounds on their errors (`TripletBounds`).
protocol BoundedTriplets {
  var bound: [Double]? { get set }
  var vectorBound: [Double]? { get set }
  var subspaceBound: Double? { get set }
  var certificate: Certificate? { get set }
  var clusters: [[Int]]? { get set }
  var further: FurtherRecord? { get set }
}

extension BoundedTriplets {
  /// Records the bounds of `t`, triplets of an operator (m, n) whose larger side is `dimension`.
  mutating func addBounds(of t: SingularTriplets, noise: OperatorNoise?, dimension: Int) {
    let noise = noise ?? .none
    let k = t.singularValues.count
    let found = t.allBounds(noise: noise, dimension: dimension)
    bound = Array(found.values.prefix(k))
    vectorBound = Array(found.vectors.prefix(k))
    subspaceBound = found.subspace(k)
    certificate = t.certificate
    clusters = SingularClusters(t, noise: noise).ranges.map { [$0.lowerBound + 1, $0.upperBound] }
    further = t.further.map {
      FurtherRecord(
        singularValues: $0.singularValues, residualNorms: $0.residualNorms,
        bound: Array(found.values.dropFirst(k)))
    }
  }
}

extension SingularTriplets {
  /// The bounds of all triplets, including the further ones as if they had been requested.
  fileprivate func allBounds(noise: OperatorNoise, dimension: Int) -> TripletBounds {
    TripletBounds(
      singularValues: singularValues + (further?.singularValues ?? []),
      residualNorms: residualNorms + (further?.residualNorms ?? []),
      outside: certificate?.outside, noise: noise, dimension: dimension)
  }
}
