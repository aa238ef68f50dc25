import CKernels

/// What turns a matrix of codes into weights: scales, one per block of codes, stored beside them.
///
/// weight = (code − zero) · scale, rounded to the type in which the quantising library forms it. Nothing is copied: all of it
/// points into what the owners keep alive. Blocks are counted from the first row and column of what is stored.
public struct CodeScales: @unchecked Sendable {
  /// Scales that are bytes themselves: scale = values[byte] · scales[index / run] + offset.
  public struct Nested {
    /// 256 values, F32.
    public var values: UnsafeRawPointer
    /// One scale per run of bytes, F32.
    public var scales: UnsafeRawPointer
    /// Bytes that share a scale.
    public var run: Int
    /// What is added to all.
    public var offset: Float

    /// Its arguments are its properties.
    public init(values: UnsafeRawPointer, scales: UnsafeRawPointer, run: Int, offset: Float) {
      (self.values, self.scales, self.run, self.offset) = (values, scales, run, offset)
    }
  }

  /// The scales, row after row of blocks.
  public var numbers: UnsafeRawPointer
  /// Their type: F32, F16, BF16 or E8M0; of no account where they are nested.
  public var type: ElementType
  /// What keeps all addresses alive.
  public var owners: [AnyObject]
  /// The type that a weight is rounded to: F32, F16 or BF16.
  public var rounded = ElementType.f32
  /// Scales from one row of blocks to the next.
  public var stride = 0
  /// Rows of weights in a block.
  public var blockRows = Int.max
  /// Columns of weights in a block: one for `int4_awq` and `int4_rows`.
  public var blockColumns = Int.max
  /// Not 0: a block is `blockColumns` weights after another, through all rows of so many columns.
  public var width = 0
  /// For each row its row of blocks, in 32 bits, instead of row / `blockRows`.
  public var groups: UnsafeRawPointer?
  /// What is subtracted from integers of four bits, eight of them in a word: along the columns, but for `int4` along the rows.
  /// Eight where there are none.
  public var zeros: UnsafeRawPointer?
  /// Bytes from one row of their words to the next.
  public var zerosStride = 0
  /// Whether they are stored less one, modulo 16.
  public var zerosAreLessOne = false
  /// What weights are multiplied by at last.
  public var factor: Float = 1
  /// The sixteen values of `table4`, F32.
  public var values: UnsafeRawPointer?
  /// How scales that are bytes are to be taken.
  public var nested: Nested?

  /// One scale for all codes, until its properties say otherwise.
  public init(numbers: UnsafeRawPointer, type: ElementType, owners: [AnyObject]) {
    (self.numbers, self.type, self.owners) = (numbers, type, owners)
  }
}

/// Scales at a fixed address, for the kernels.
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
