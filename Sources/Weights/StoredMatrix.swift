public import CKernels
public import LinearAlgebra

/// A weight matrix W (m, n) as it lies in memory or in a mapped file: in its stored type, row by row or column by column, never
/// copied.
///
/// Products are made by `RealScalar.multiply`; the numbers are widened in registers. The bytes may begin at any
/// alignment. `owner` keeps them alive.
public struct StoredMatrix: @unchecked Sendable {
  /// What the kernels see: W, or Wᵀ if it is transposed.
  public let kernel: ck_matrix
  /// Whatever keeps the bytes alive: a mapped file, an array's box.
  public let owner: AnyObject
  /// What makes weights of codes; nil where the stored numbers are the weights.
  private let scales: ScaleBox?
  /// Whether what is stored is Wᵀ, column after column of W.
  public let isTransposed: Bool

  /// Rows m: the outputs of `multiply`.
  public var rows: Int { Int(isTransposed ? kernel.columns : kernel.rows) }
  /// Columns n: its inputs.
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
      preconditionFailure("a row of \(columns) is not whole blocks of \(elementType.name)")
    }
    self.init(
      kernel: ck_matrix(
        data: base, rows: Int64(rows), columns: Int64(columns), row_bytes: Int64(rowBytes),
        type: elementType.rawValue, scales: nil, first_row: 0, first_column: 0),
      owner: owner, scales: nil, isTransposed: false)
  }

  /// A view of `rows` × `columns` codes at `base` that stand for weights by their scales; of those of the matrix's transpose if
  /// `isTransposed`.
  ///
  /// Precondition: `base` holds the rows, `rowBytes` bytes each (for `int4_rows` one for eight), for as long as `owner` lives.
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

  /// The view of some of its rows: one projection out of a fused one.
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

  /// Row `i`, widened.
  public func row(_ i: Int) -> [Float] {
    precondition(i >= 0 && i < rows, "row outside the matrix")
    return [Float](unsafeUninitializedCapacity: columns) { buffer, initialized in
      withUnsafePointer(to: kernel) { matrix in
        guard var place = buffer.baseAddress else { return }
        if isTransposed {
          for column in 0..<Int64(columns) {
            ck_widen(Engine.current, matrix, column, Int64(i), 1, place)
            place += 1
          }
        } else {
          ck_widen(Engine.current, matrix, Int64(i), 0, Int64(columns), place)
        }
      }
      initialized = columns
    }
  }

  /// The first byte of what is stored.
  public var base: UnsafeRawPointer {
    scales == nil ? kernel.data : kernel.data + Int(wordRows.lowerBound * kernel.row_bytes)
  }
  /// Bytes from the first to the last, without those of scales.
  public var byteCount: Int { wordRows.count * Int(kernel.row_bytes) }

  /// The stored rows it takes; `int4_rows` has eight rows of weights in one.
  private var wordRows: Range<Int64> {
    let packed: Int64 = elementType == .int4_rows ? 8 : 1
    let (first, end) = (kernel.first_row, kernel.first_row + kernel.rows)
    return first / packed..<(end + packed - 1) / packed
  }
}

/// Keeps a copy of some numbers at a fixed address.
final class ElementBox<Scalar: RealScalar> {
  let base: UnsafeMutablePointer<Scalar>

  init(_ elements: [Scalar]) {
    base = .allocate(capacity: max(elements.count, 1))
    elements.withUnsafeBufferPointer {
      if let source = $0.baseAddress { base.initialize(from: source, count: elements.count) }
    }
  }

  deinit { base.deallocate() }
}
