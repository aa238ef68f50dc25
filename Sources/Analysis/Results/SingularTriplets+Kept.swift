import Alignment
import LinearAlgebra

extension SingularTriplets {
  /// The triplets as they are kept after a solve: of those beyond the requested ones only the vectors of a cluster that the cut goes
  /// through, which its bounds need.
  var kept: SingularTriplets {
    guard let further, further.leftVectors.rows > 0 else { return self }
    let cut = SingularClusters(self).ranges.last?.upperBound ?? 0
    let count = min(max(0, cut - singularValues.count), further.leftVectors.rows)
    var kept = self
    kept.further?.leftVectors = further.leftVectors.prefix(count)
    kept.further?.rightVectors = further.rightVectors.prefix(count)
    return kept
  }

  /// The same triplets, without products, in memory of their own. After the solver has freed its bases they take gaps in the
  /// heap, while the original vectors were allocated after the bases and would leave gaps between one block's and the next's.
  var moved: SingularTriplets {
    let copy = { (x: Matrix<Double>) in
      Matrix(rows: x.rows, columns: x.columns, elements: x.elements.map { $0 })
    }
    var moved = SingularTriplets(
      singularValues: singularValues, leftVectors: copy(leftVectors),
      rightVectors: copy(rightVectors), residualNorms: residualNorms, report: report,
      further: further, certificate: certificate)
    moved.further?.leftVectors = copy(further?.leftVectors ?? leftVectors.prefix(0))
    moved.further?.rightVectors = copy(further?.rightVectors ?? rightVectors.prefix(0))
    return moved
  }
}
