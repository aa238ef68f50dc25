public import CKernels
public import LinearAlgebra

/// A weight matrix W (m, n) as it lies in memory or in a mapped file: row-major, in its stored type, never copied.
///
/// Products are made by `RealScalar.multiply`; the numbers are widened in registers. The bytes may begin at any
/// alignment. `owner` keeps them alive.
public struct StoredMatrix: @unchecked Sendable {
  /// What the kernels see.
  public let kernel: ck_matrix
  /// Whatever keeps the bytes alive: a mapped file, an array's box.
  public let owner: AnyObject

  /// Rows m: the outputs of `multiply`.
  public var rows: Int { Int(kernel.rows) }
  /// Columns n: its inputs.
  public var columns: Int { Int(kernel.columns) }
  /// The type of the stored numbers.
  public var elementType: ElementType { ElementType(rawValue: kernel.type)! }
  /// The first byte.
  public var base: UnsafeRawPointer { kernel.data }
  /// Bytes from the first to the last.
  public var byteCount: Int { rows * Int(kernel.row_bytes) }

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
        type: elementType.rawValue),
      owner: owner)
  }

  private init(kernel: ck_matrix, owner: AnyObject) {
    self.kernel = kernel
    self.owner = owner
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
    part.data = kernel.data + range.lowerBound * Int(kernel.row_bytes)
    part.rows = Int64(range.count)
    return StoredMatrix(kernel: part, owner: owner)
  }

  /// Row `i`, widened.
  public func row(_ i: Int) -> [Float] {
    precondition(i >= 0 && i < rows, "row outside the matrix")
    return elementType.widened(kernel.data + i * Int(kernel.row_bytes), count: columns)
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
