import Alignment
import LinearAlgebra

extension ArrayFile {
  /// Adds the triplets beyond the requested ones: values, residual norms, and the vectors that are `kept`.
  mutating func append(furtherOf t: SingularTriplets, _ prefix: String) {
    guard let further = t.kept.further, !further.singularValues.isEmpty else { return }
    append("\(prefix)further.S", Matrix([further.singularValues]))
    append("\(prefix)further.residuals", Matrix([further.residualNorms]))
    guard further.leftVectors.rows > 0 else { return }
    append("\(prefix)further.U", further.leftVectors)
    append("\(prefix)further.V", further.rightVectors)
  }

  /// The triplets beyond the requested ones, with the vectors that were kept if `hasVectors`; nil if there are no such triplets.
  func further(_ prefix: String, hasVectors: Bool) -> FurtherTriplets? {
    guard let values = matrix("\(prefix)further.S")?.elements,
      let residuals = matrix("\(prefix)further.residuals")?.elements,
      values.count == residuals.count
    else { return nil }
    let vectors = { (side: String) in
      (hasVectors ? self.matrix("\(prefix)further.\(side)") : nil)
        ?? Matrix<Double>(rows: 0, columns: 0, elements: [])
    }
    return FurtherTriplets(
      singularValues: values, leftVectors: vectors("U"), rightVectors: vectors("V"),
      residualNorms: residuals)
  }
}
