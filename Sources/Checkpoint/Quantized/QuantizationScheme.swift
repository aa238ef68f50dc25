/// How the weights of a folder were quantised, as far as their tensors do not say it themselves.
public struct QuantizationScheme: Sendable {
  /// A library or format that is read.
  public enum Method: String, Sendable, CaseIterable {
    /// Floats of eight bits with scales of blocks, as DeepSeek and Qwen publish them.
    case fp8
    /// Floats of eight bits with a scale per output.
    case fbgemmFP8 = "fbgemm_fp8"
    /// Floats of four bits with a power of two for each 32, as gpt-oss is published.
    case mxfp4
    /// What llm-compressor writes: floats or integers of eight bits, integers and MXFP4 of four.
    case compressedTensors = "compressed-tensors"
    /// NF4 and FP4, and integers of eight bits.
    case bitsandbytes
    /// Integers of four bits, packed along the outputs.
    case awq
    /// Integers of four bits, packed along the inputs.
    case gptq
  }

  /// The method.
  public var method: Method
  /// Rows and columns of weights that share a scale, where that is not as the numbers of scales suggest.
  public var block: (rows: Int, columns: Int)?
  /// Whether zeros of GPTQ are stored less one, as AutoGPTQ did.
  public var zerosAreLessOne = true

  /// A method with its usual settings.
  public init(_ method: Method) { self.method = method }
}
