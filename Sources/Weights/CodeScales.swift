import CKernels

/// The scales, one per block of codes and stored beside them, that turn a matrix of codes into weights.
///
/// weight = (code − zero) · scale, rounded to the type in which the quantising library forms it. Nothing is copied:
/// all pointers refer to memory that the owners keep alive. Blocks are counted from the first row and column of the
/// stored matrix.
public struct CodeScales: @unchecked Sendable {
  /// Quantised scales: scale = values[byte] · scales[index / run] + offset.
  public struct Nested {
    /// The 256 values of a byte, F32.
    public var values: UnsafeRawPointer
    /// One scale per run of bytes, F32.
    public var scales: UnsafeRawPointer
    /// The number of bytes that share a scale.
    public var run: Int
    /// The offset added to every scale.
    public var offset: Float

    /// Creates nested scales from their properties.
    public init(values: UnsafeRawPointer, scales: UnsafeRawPointer, run: Int, offset: Float) {
      (self.values, self.scales, self.run, self.offset) = (values, scales, run, offset)
    }
  }

  /// The scales, row after row of blocks.
  public var numbers: UnsafeRawPointer
  /// The type of the scales: F32, F16, BF16 or E8M0; ignored if they are nested.
  public var type: ElementType
  /// The objects that keep all pointers valid.
  public var owners: [AnyObject]
  /// The type that a weight is rounded to: F32, F16 or BF16.
  public var rounded = ElementType.f32
  /// The number of scales from one row of blocks to the next.
  public var stride = 0
  /// The number of rows of weights in a block.
  public var blockRows = Int.max
  /// The number of columns of weights in a block: one for `int4_awq` and `int4_rows`.
  public var blockColumns = Int.max
  /// If not 0, a block is `blockColumns` consecutive weights of a matrix with this many columns, across its rows.
  public var width = 0
  /// The row of blocks of each row, as 32-bit integers, instead of row / `blockRows`.
  public var groups: UnsafeRawPointer?
  /// The zero points to subtract from 4-bit integers, eight per word: along the columns, except for `int4`, where
  /// they run along the rows. Without them, eight is subtracted.
  public var zeros: UnsafeRawPointer?
  /// The number of bytes from one row of zero-point words to the next.
  public var zerosStride = 0
  /// Whether zero points are stored minus one, modulo 16.
  public var zerosAreLessOne = false
  /// The factor that weights are multiplied by last.
  public var factor: Float = 1
  /// The sixteen values of `table4`, F32.
  public var values: UnsafeRawPointer?
  /// How to decode scales that are bytes, if they are.
  public var nested: Nested?

  /// One scale for all codes, unless other properties are set.
  public init(numbers: UnsafeRawPointer, type: ElementType, owners: [AnyObject]) {
    (self.numbers, self.type, self.owners) = (numbers, type, owners)
  }
}

/// The scales at a fixed address, for the kernels.
final class ScaleBox {
  let kernel: UnsafeMutablePointer<ck_scales>
  private let owners: [AnyObject]

  init(_ scales: CodeScales) {
    owners = scales.owners
    kernel = .allocate(capacity: 1)
    kernel.initialize(
      to: ck_scales(
        data: scales.numbers, type: scales.type.rawValue, rounded: scales.rounded.rawValue,
        stride: Int64(scales.stride), rows: Int64(scales.blockRows),
        columns: Int64(scales.blockColumns), width: Int64(scales.width), factor: scales.factor,
        groups: scales.groups, zeros: scales.zeros, zeros_stride: Int64(scales.zerosStride),
        zeros_less_one: scales.zerosAreLessOne ? 1 : 0, values: scales.values,
        nested: scales.nested?.scales, nested_values: scales.nested?.values,
        nested_run: Int64(scales.nested?.run ?? 1), nested_offset: scales.nested?.offset ?? 0))
  }

  deinit { kernel.deallocate() }
}
