/// How the weights of a folder were quantised, as far as the tensors themselves do not show it.
public struct QuantizationScheme: Sendable {
  /// A supported quantisation library or format.
  public enum Method: String, Sendable, CaseIterable {
    /// Eight-bit floats with block-wise scales, as DeepSeek and Qwen publish them.
    case fp8
    /// Eight-bit floats with one scale per output.
    case fbgemmFP8 = "fbgemm_fp8"
    /// Four-bit floats with one power of two per 32 weights, as gpt-oss is published.
    case mxfp4
    /// The format of llm-compressor: eight-bit floats or integers, four-bit integers, and MXFP4.
    case compressedTensors = "compressed-tensors"
    /// NF4, FP4 and eight-bit integers.
    case bitsandbytes
    /// Four-bit integers, packed along the outputs.
    case awq
    /// Four-bit integers, packed along the inputs.
    case gptq
  }

  /// The method.
  public var method: Method
  /// The rows and columns of a block of weights that shares a scale, if that cannot be inferred from the shape of the scales.
  public var block: (rows: Int, columns: Int)?
  /// Whether GPTQ's zero points are stored minus one, as by AutoGPTQ.
  public var zerosAreLessOne = true

  /// The method with its usual settings.
  public init(_ method: Method) { self.method = method }
}
