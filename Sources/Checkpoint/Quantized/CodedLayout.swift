import Weights

/// How the bytes of a tensor encode weights: as consecutive matrices of codes, with consecutive scales.
struct CodedLayout: Sendable {
  /// The scales of the first matrix.
  var scales: CodeScales
  /// The bytes from the scales of one matrix to those of the next.
  var step: Int
  /// The number of stored rows in a matrix.
  var rows: Int
  /// The number of weights in a stored row.
  var columns: Int
  /// The bytes of a stored row; for `int4_rows`, of eight rows.
  var rowBytes: Int
  /// Whether a stored matrix is the transpose of the weight.
  var isTransposed: Bool
  /// The stored tensors that belong to the codes.
  var parts: [StoredBytes] = []

  /// The matrix with this index among those whose codes begin at `base`.
  func matrix(
    _ index: Int, of base: UnsafeRawPointer, type: ElementType, owner: AnyObject
  ) -> StoredMatrix {
    var scales = scales
    scales.numbers += index * step
    return StoredMatrix(
      codes: base + index * rows * rowBytes, elementType: type, rows: rows, columns: columns,
      rowBytes: rowBytes, scales: scales, isTransposed: isTransposed, owner: owner)
  }
}
