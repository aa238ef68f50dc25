import Weights

/// How the bytes of a tensor are codes of weights: matrices one after another, their scales likewise.
struct CodedLayout: Sendable {
  /// The scales of the first matrix.
  var scales: CodeScales
  /// Bytes from one matrix's scales to the next one's.
  var step: Int
  /// A matrix's sides as it is stored.
  var rows: Int
  /// Numbers in a stored row.
  var columns: Int
  /// Bytes of a stored row; of `int4_rows`, of eight.
  var rowBytes: Int
  /// Whether a stored matrix is the transpose of the weight.
  var isTransposed: Bool
  /// All that lies beside the codes.
  var parts: [StoredBytes] = []

  /// Matrix `index` of those whose codes begin at `base`.
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
