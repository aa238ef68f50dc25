import Analysis
import Alignment

/// The comparison of a block in two runs: the largest differences over their common prompts.
public struct BlockComparison: Encodable, Sendable {
  /// The block, from 1.
  public let layer: Int
  /// max |σₖ − σₖ′| / σ₁, where σ₁ is the larger of the two; null if the runs have no Jacobian of the block in common.
  @Nullable public var singularValues: Double?
  /// The largest |difference| between entries of its row across depth, at the largest rank. A misfit is itself relative to ‖S‖.
  @Nullable public var coupling: Double?

  /// The comparisons of all blocks over pairs of the same prompt.
  static func all(
    _ prompts: [(PromptRecord, PromptRecord)], _ reading: CouplingReading
  ) -> [BlockComparison] {
    var (values, couplings): ([Int: Double], [Int: Double]) = ([:], [:])
    for (a, b) in prompts {
      for x in a.layers {
        guard let y = b.layers.first(where: { x.isSameJacobian(as: $0) }),
          let scale = (x.singularValues + y.singularValues).max(),
          let difference = largestDifference(x.singularValues, y.singularValues)
        else { continue }
        values[x.layer] = max(values[x.layer] ?? 0, scale > 0 ? difference / scale : 0)
      }
      for (s, t) in tables(a, b, reading) {
        for (i, layer) in s.rows.enumerated() {
          guard let difference = largestDifference(s.matrix[i], t.matrix[i]) else { continue }
          couplings[layer] = max(couplings[layer] ?? 0, difference)
        }
      }
    }
    return Set(values.keys).union(couplings.keys).sorted().map {
      BlockComparison(layer: $0, singularValues: values[$0], coupling: couplings[$0])
    }
  }

  /// Tables of the same blocks, at the largest rank that both runs have.
  private static func tables(
    _ a: PromptRecord, _ b: PromptRecord, _ reading: CouplingReading
  ) -> [(CouplingMatrix, CouplingMatrix)] {
    let pairs = a.coupling.filter { $0.kind == .depth && reading.includes($0.kind, $0.setting) }
      .compactMap { s in
        b.coupling.first {
          s.kind == $0.kind && s.place == $0.place && s.setting == $0.setting && s.rows == $0.rows
            && s.columns == $0.columns
        }.map { (s, $0) }
      }
    let rank = pairs.map(\.0.setting.rank).max()
    return pairs.filter { $0.0.setting.rank == rank }
  }

  /// The largest difference between two lists; nil if they have no common entry.
  private static func largestDifference(_ a: [Double?], _ b: [Double?]) -> Double? {
    zip(a, b).compactMap { x, y in x.flatMap { x in y.map { abs(x - $0) } } }
      .filter(\.isFinite).max()
  }
}

extension LayerRecord {
  fileprivate func isSameJacobian(as other: LayerRecord) -> Bool {
    layer == other.layer && fromToken == other.fromToken && toToken == other.toToken
  }
}
