/// A selection of rows of a row-major matrix, such as some tokens of a prompt.
public struct RowSelection: Hashable, Sendable {
  /// The rows selected, counted from 0, in the order in which a restricted vector has them.
  public let rows: [Int]
  /// The number of rows in all.
  public let count: Int

  /// The selection of `rows` out of `count`. Precondition: at least one, each at most once, all below `count`.
  public init(_ rows: [Int], of count: Int) {
    precondition(!rows.isEmpty, "a selection has at least one row")
    precondition(
      rows.allSatisfy { (0..<count).contains($0) } && Set(rows).count == rows.count,
      "rows \(rows) of \(count)")
    (self.rows, self.count) = (rows, count)
  }
}

/// R A S, which maps some rows of A's input to some rows of its output; all other input rows are zero.
///
/// The inputs and outputs of A are row-major matrices. An application costs one of A, at its full size, and needs one
/// block of A's inputs and one of its outputs.
public final class RestrictedOperator: LinearOperator {
  private let base: any LinearOperator
  private let inputRows: RowSelection?
  private let outputRows: RowSelection?
  private let buffers = (input: VectorBuffer(), output: VectorBuffer())

  /// `base` from some rows of its input to some rows of its output; nil selects all rows. Precondition: the number of
  /// rows of a selection divides the length of the vectors.
  public init(_ base: any LinearOperator, inputRows: RowSelection?, outputRows: RowSelection?) {
    precondition(base.innerProducts == nil, "rows are selected before vectors are divided")
    for (selection, length) in [
      (inputRows, base.inputDimension), (outputRows, base.outputDimension),
    ] {
      precondition(
        length.isMultiple(of: selection?.count ?? 1),
        "vectors of length \(length) for \(selection?.count ?? 1) rows")
    }
    (self.base, self.inputRows, self.outputRows) = (base, inputRows, outputRows)
  }

  /// n, the length of the selected rows of an input.
  public var inputDimension: Int { Self.length(base.inputDimension, inputRows) }
  /// m, the length of the selected rows of an output.
  public var outputDimension: Int { Self.length(base.outputDimension, outputRows) }

  private static func length(_ whole: Int, _ selection: RowSelection?) -> Int {
    selection.map { whole / $0.count * $0.rows.count } ?? whole
  }

  /// yᵢ ← the selected output rows of A applied to vᵢ in the selected input rows and zeros elsewhere: (b, n) → (b,
  /// m).
  public func apply(_ v: Span<Double>, into y: inout MutableSpan<Double>, vectors b: Int) {
    product(.forward, v, inputRows, outputRows, into: &y, vectors: b)
  }

  /// xᵢ ← the selected input rows of Aᵀ applied to uᵢ in the selected output rows and zeros elsewhere: (b, m) → (b,
  /// n).
  public func applyAdjoint(_ u: Span<Double>, into x: inout MutableSpan<Double>, vectors b: Int) {
    product(.adjoint, u, outputRows, inputRows, into: &x, vectors: b)
  }

  private func product(
    _ direction: ProductDirection, _ v: Span<Double>, _ from: RowSelection?, _ to: RowSelection?,
    into y: inout MutableSpan<Double>, vectors b: Int
  ) {
    guard let from else { return product(direction, v, to, into: &y, vectors: b) }
    let whole = buffers.input.room(for: b * base.outputDimension(direction.reversed))
    whole.update(repeating: 0)
    v.withUnsafeBufferPointer { v in
      from.forEachRow(of: whole.count, vectors: b) { row, place in
        _ = whole.extracting(row).update(fromContentsOf: v.extracting(place))
      }
    }
    product(direction, whole.span, to, into: &y, vectors: b)
  }

  /// Applies A to whole inputs, scattered from restricted ones, and gathers the selected output rows.
  private func product(
    _ direction: ProductDirection, _ v: Span<Double>, _ to: RowSelection?,
    into y: inout MutableSpan<Double>, vectors b: Int
  ) {
    guard let to else { return base.apply(direction, v, into: &y, vectors: b) }
    let whole = buffers.output.room(for: b * base.outputDimension(direction))
    var product = whole.mutableSpan
    base.apply(direction, v, into: &product, vectors: b)
    y.withUnsafeMutableBufferPointer { y in
      to.forEachRow(of: whole.count, vectors: b) { row, place in
        _ = y.extracting(place).update(fromContentsOf: whole.extracting(row))
      }
    }
  }
}

extension RowSelection {
  /// Calls `body` with the offsets of each selected row in `b` whole vectors, of `length` numbers together, and in
  /// restricted vectors.
  fileprivate func forEachRow(
    of length: Int, vectors b: Int, _ body: (_ whole: Range<Int>, _ restricted: Range<Int>) -> Void
  ) {
    let width = length / max(b * count, 1)
    for vector in 0..<b {
      for (i, row) in rows.enumerated() {
        let (whole, place) = (vector * count + row, vector * rows.count + i)
        body(whole * width..<(whole + 1) * width, place * width..<(place + 1) * width)
      }
    }
  }
}
