import Alignment
import Foundation
import Testing

/// The results of scipy and numpy written by `make_fixtures.py`.
struct Reference: Decodable, Sendable {
  struct CorrelationCase: Decodable, Sendable {
    let x, y, z: [Double]
    let r, slope, intercept, pValue, rho, rankP, partialR, partialP, mean, standardError: Double
  }
  struct Pairs: Decodable, Sendable {
    let a, b: [Double]
    let mean, standardError, pValue: Double
  }
  struct Tail: Decodable, Sendable {
    let t: Double
    let degreesOfFreedom: Int
    let p: Double
  }
  struct Beta: Decodable, Sendable { let x, a, b, value: Double }
  struct Path: Decodable, Sendable {
    let states: [[[Double]]]
    let norms, growthPerBlock: [[Double]]
    let lineShapeScore, growth, expodistance, explainedVariance: [Double]
  }

  struct Coupling: Decodable, Sendable {
    struct Table: Decodable, Sendable {
      let rank: Int
      let form: CouplingForm
      let sign: CouplingSign
      let normalisation: CouplingNormalisation
      let misfit: [[Double]]
    }
    let jacobians: [[[Double]]]
    let tables: [Table]
    let overlapRank: Int
    let left, right: [[Double]]
  }

  let correlations: [CorrelationCase]
  let pairs: [Pairs]
  let tails: [Tail]
  let betas: [Beta]
  let path: Path
  let coupling: Coupling

  static func load() throws -> Reference {
    let url = Bundle.module.url(
      forResource: "reference", withExtension: "json", subdirectory: "Fixtures")
    return try JSONDecoder().decode(
      Reference.self, from: Data(contentsOf: try #require(url, "Fixtures/reference.json")))
  }
}

/// |a − b| ≤ tolerance · max(|b|, floor).
func close(_ a: Double, _ b: Double, _ tolerance: Double, floor: Double = 0) -> Bool {
  abs(a - b) <= tolerance * max(abs(b), floor)
}
