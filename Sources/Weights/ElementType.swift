import CKernels

/// How the numbers of a stored tensor are written: plain, or quantised in blocks.
///
/// The raw values are those of GGUF files; `CKernels` knows the types by the same numbers.
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
  case f64 = 28
  case bf16 = 30

  /// Numbers in a block: 1 for the plain types, 32 or 256 for the quantised ones.
  public var blockLength: Int { Int(ck_block_length(rawValue)) }

  /// Bytes in a block.
  public var blockBytes: Int { Int(ck_block_bytes(rawValue)) }

  /// The name as files write it: `F32`, `BF16`, `Q4_K`, …
  public var name: String {
    switch self {
    case .f32: "F32"
    case .f16: "F16"
    case .q4_0: "Q4_0"
    case .q4_1: "Q4_1"
    case .q5_0: "Q5_0"
    case .q5_1: "Q5_1"
    case .q8_0: "Q8_0"
    case .q2_K: "Q2_K"
    case .q3_K: "Q3_K"
    case .q4_K: "Q4_K"
    case .q5_K: "Q5_K"
    case .q6_K: "Q6_K"
    case .f64: "F64"
    case .bf16: "BF16"
    }
  }

  /// Bytes of a row of `count` numbers, or nil when `count` is no multiple of the block or the product overflows.
  public func bytes(forCount count: Int) -> Int? {
    guard count >= 0, count % blockLength == 0 else { return nil }
    let (bytes, overflow) = (count / blockLength).multipliedReportingOverflow(by: blockBytes)
    return overflow ? nil : bytes
  }
}

extension ElementType {
  /// `count` numbers that are stored at `bytes`, widened; F64 is rounded. Precondition: `count` is whole blocks.
  package func widened(_ bytes: UnsafeRawPointer, count: Int) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if count > 0 {
        ck_dequantize(Engine.current, rawValue, bytes, buffer.baseAddress!, Int64(count))
      }
      initialized = count
    }
  }
}
