import CKernels

/// The format of a stored tensor's numbers: plain, or quantised in blocks.
///
/// Raw values below 256 are those of GGUF files; those from 256 on are for types that GGUF lacks. `CKernels` uses the
/// same numbers. The codes of `int8` to `int4_rows` have no meaning without their scales (`CodeScales`).
public enum ElementType: Int32, Sendable, CaseIterable {
  case f32 = 0
  case f16 = 1
  case q4_0 = 2
  case q4_1 = 3
  case q5_0 = 6
  case q5_1 = 7
  case q8_0 = 8
  case q2_K = 10
  case q3_K = 11
  case q4_K = 12
  case q5_K = 13
  case q6_K = 14
  case iq2_xxs = 16
  case iq2_xs = 17
  case iq3_xxs = 18
  case iq1_s = 19
  case iq4_nl = 20
  case iq3_s = 21
  case iq2_s = 22
  case iq4_xs = 23
  case f64 = 28
  case iq1_m = 29
  case bf16 = 30
  case tq1_0 = 34
  case tq2_0 = 35
  case mxfp4 = 39
  case f8_e4m3 = 256
  case f8_e5m2 = 257
  case e8m0 = 258
  case int8 = 259
  case e2m1 = 260
  case table4 = 261
  case int4 = 262
  case int4_awq = 263
  case int4_rows = 264

  /// Whether GGUF files can contain the type.
  public var isGGUF: Bool { rawValue < 256 }

  /// Whether the numbers are the weights themselves, with no scales stored beside them.
  public var standsAlone: Bool { rawValue < ElementType.int8.rawValue }

  /// Whether the numbers are floating-point numbers of two bytes or more, which products widen in registers.
  public var isFloatingPoint: Bool { [.f32, .f16, .f64, .bf16].contains(self) }

  /// The number of values in a block: 1 for plain types, 32 or 256 for the quantised ones of GGUF files.
  public var blockLength: Int { Int(ck_block_length(rawValue)) }

  /// The number of bytes in a block.
  public var blockBytes: Int { Int(ck_block_bytes(rawValue)) }

  /// The name as files spell it: `F32`, `BF16`, `Q4_K`, …
  public var name: String { "\(self)".uppercased() }

  /// The bytes of a row of `count` numbers, or nil if `count` is not a multiple of the block or the product
  /// overflows.
  public func bytes(forCount count: Int) -> Int? {
    guard count >= 0, count % blockLength == 0 else { return nil }
    let (bytes, overflow) = (count / blockLength).multipliedReportingOverflow(by: blockBytes)
    return overflow ? nil : bytes
  }
}

extension ElementType {
  /// Whether thin products with weights of this type, by the current engine, take less time than with the widened numbers.
  package var isWidenedInRegisters: Bool { ck_looks_up(Engine.current, rawValue) != 0 }

  /// The `count` numbers stored at `bytes`, widened to single precision; F64 is rounded. Precondition: `count` is a
  /// multiple of the block.
  package func widened(_ bytes: UnsafeRawPointer, count: Int) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if count > 0 {
        ck_dequantize(Engine.current, rawValue, bytes, buffer.baseAddress!, Int64(count))
      }
      initialized = count
    }
  }
}
