public import CKernels
public import LinearAlgebra

/// A weight matrix W (m, n) as it is stored in memory or in a mapped file: in its stored type, by rows or by columns,
/// never copied.
///
/// `RealScalar.multiply` computes products and widens the numbers in registers. The bytes need no alignment; `owner`
/// keeps them alive.
public struct StoredMatrix: @unchecked Sendable {
  /// The matrix passed to the kernels: W, or Wᵀ if `isTransposed`.
  public let kernel: ck_matrix
  /// The object that keeps the bytes alive: a mapped file, or an array's box.
  public let owner: AnyObject
  /// The scales that turn codes into weights; nil if the stored numbers are the weights.
  private let scales: ScaleBox?
  /// Whether Wᵀ is stored, that is W column by column.
  public let isTransposed: Bool

  /// The number of rows m, the outputs of `multiply`.
  public var rows: Int { Int(isTransposed ? kernel.columns : kernel.rows) }
  /// The number of columns n, the inputs of `multiply`.
  public var columns: Int { Int(isTransposed ? kernel.rows : kernel.columns) }
  /// The type of the stored numbers.
  public var elementType: ElementType { ElementType(rawValue: kernel.type)! }

  /// A view of `rows` × `columns` numbers at `base`.
  ///
  /// Precondition: `columns` is a multiple of the type's block; `base` holds that many bytes for as long as `owner` lives.
  public init(
    base: UnsafeRawPointer, elementType: ElementType, rows: Int, columns: Int, owner: AnyObject
  ) {
    guard let rowBytes = elementType.bytes(forCount: columns) else {
      preconditionFailure("a row of \(columns) is not a multiple of the \(elementType.name) block")
    }
    self.init(
      kernel: ck_matrix(
        data: base, rows: Int64(rows), columns: Int64(columns), row_bytes: Int64(rowBytes),
        type: elementType.rawValue, scales: nil, first_row: 0, first_column: 0),
      owner: owner, scales: nil, isTransposed: false)
  }

  /// A view of `rows` × `columns` codes at `base`, which their scales turn into weights; if `isTransposed`, the codes
  /// are those of the transpose.
  ///
  /// Precondition: `base` holds the rows, `rowBytes` bytes each (for `int4_rows` that many per eight rows), for as
  /// long as `owner` lives.
  public init(
    codes base: UnsafeRawPointer, elementType: ElementType, rows: Int, columns: Int, rowBytes: Int,
    scales: CodeScales, isTransposed: Bool, owner: AnyObject
  ) {
    let scales = ScaleBox(scales)
    self.init(
      kernel: ck_matrix(
        data: base, rows: Int64(rows), columns: Int64(columns), row_bytes: Int64(rowBytes),
        type: elementType.rawValue, scales: scales.kernel, first_row: 0, first_column: 0),
      owner: owner, scales: scales, isTransposed: isTransposed)
  }

  private init(kernel: ck_matrix, owner: AnyObject, scales: ScaleBox?, isTransposed: Bool) {
    self.kernel = kernel
    self.owner = owner
    self.scales = scales
    self.isTransposed = isTransposed
  }

  /// A stored matrix that owns a copy of `matrix`.
  public init<Scalar: RealScalar>(_ matrix: Matrix<Scalar>) {
    let box = ElementBox(matrix.elements)
    self.init(
      base: UnsafeRawPointer(box.base), elementType: Scalar.elementType, rows: matrix.rows,
      columns: matrix.columns, owner: box)
  }

  /// A view of some rows, such as one projection of a fused matrix.
  public func rows(_ range: Range<Int>) -> StoredMatrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows outside the matrix")
    var part = kernel
    if isTransposed {
      part.first_column += Int64(range.lowerBound)
      part.columns = Int64(range.count)
    } else {
      part.rows = Int64(range.count)
      if scales == nil {
        part.data = kernel.data + range.lowerBound * Int(kernel.row_bytes)
      } else {
        part.first_row += Int64(range.lowerBound)
      }
    }
    return StoredMatrix(kernel: part, owner: owner, scales: scales, isTransposed: isTransposed)
  }

  /// The number of columns at whose multiples `columns(_:)` can begin and end: the block of a quantised type.
  public var columnUnit: Int { scales == nil ? elementType.blockLength : 1 }

  /// A view of some columns, such as the inputs of some heads.
  ///
  /// Precondition: the range begins and ends at multiples of `columnUnit`.
  public func columns(_ range: Range<Int>) -> StoredMatrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns outside the matrix")
    precondition(
      range.lowerBound % columnUnit == 0 && range.count % columnUnit == 0, "part of a block")
    var part = kernel
    if isTransposed {
      part.first_row += Int64(range.lowerBound)
      part.rows = Int64(range.count)
    } else {
      part.columns = Int64(range.count)
      if scales == nil {
        part.data = kernel.data + range.lowerBound / columnUnit * elementType.blockBytes
      } else {
        part.first_column += Int64(range.lowerBound)
      }
    }
    return StoredMatrix(kernel: part, owner: owner, scales: scales, isTransposed: isTransposed)
  }

  /// Row `i`, widened to single precision.
  public func row(_ i: Int) -> [Float] {
    [Float](unsafeUninitializedCapacity: columns) { buffer, initialized in
      if let base = buffer.baseAddress { widen(row: i, into: base) }
      initialized = columns
    }
  }

  /// Writes row `i`, widened to single precision.
  package func widen(row i: Int, into out: UnsafeMutablePointer<Float>) {
    precondition(i >= 0 && i < rows, "row outside the matrix")
    withUnsafePointer(to: kernel) { matrix in
      if isTransposed {
        for column in 0..<columns {
          ck_widen(Engine.current, matrix, Int64(column), Int64(i), 1, out + column)
        }
      } else {
        ck_widen(Engine.current, matrix, Int64(i), 0, Int64(columns), out)
      }
    }
  }

  /// The address of the first stored byte.
  public var base: UnsafeRawPointer {
    scales == nil ? kernel.data : kernel.data + Int(wordRows.lowerBound * kernel.row_bytes)
  }
  /// The number of stored bytes from the first row to the end of the last one, without the scales. Those of a view of
  /// some columns are not contiguous.
  public var byteCount: Int {
    guard scales == nil else { return wordRows.count * Int(kernel.row_bytes) }
    guard kernel.rows > 0 else { return 0 }
    // A row is a whole number of blocks.
    return Int(kernel.rows - 1) * Int(kernel.row_bytes)
      + Int(kernel.columns) / elementType.blockLength * elementType.blockBytes
  }

  /// The bytes of the weights themselves, without the scales and without what is stored between the rows of a view.
  public var weightBytes: Int {
    wordRows.count * (Int(kernel.columns) / elementType.blockLength * elementType.blockBytes)
  }

  /// The range of stored rows that the view covers; one stored row of `int4_rows` contains eight rows of weights.
  private var wordRows: Range<Int64> {
    let packed: Int64 = elementType == .int4_rows ? 8 : 1
    let (first, end) = (kernel.first_row, kernel.first_row + kernel.rows)
    return first / packed..<(end + packed - 1) / packed
  }
}

/// Some numbers at a fixed address.
final class ElementBox<Scalar: RealScalar>: @unchecked Sendable {
  let base: UnsafeMutablePointer<Scalar>
  let count: Int

  /// Uninitialised memory for `count` numbers.
  init(count: Int) {
    self.count = count
    base = .allocate(capacity: max(count, 1))
  }

  /// A copy of an array.
  convenience init(_ elements: [Scalar]) {
    self.init(count: elements.count)
    elements.withUnsafeBufferPointer {
      if let source = $0.baseAddress { base.initialize(from: source, count: elements.count) }
    }
  }

  deinit { base.deallocate() }
}
