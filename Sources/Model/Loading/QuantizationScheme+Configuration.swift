import Checkpoint

extension QuantizationScheme {
  /// Reads `quantization_config` of a config.json; nil if there is none.
  ///
  /// Which modules were left unquantised need not be known, since their tensors are plain. Throws
  /// `ModelError.unsupportedKey` for a method, or a variant of one, that is not supported, and `badKey`.
  init?(_ file: Configuration) throws(ModelError) {
    guard let c = try file.optionalObject("quantization_config", "compression_config") else {
      return nil
    }
    let name = try c.text(
      "quant_method",
      default: c.mentions("load_in_4bit") || c.mentions("_load_in_4bit") ? "bitsandbytes" : nil)
    guard let method = Method(rawValue: name) else {
      let known = Method.allCases.map(\.rawValue).joined(separator: ", ")
      throw .unsupportedKey(
        file: c.file, key: "quant_method", value: "\"\(name)\"",
        reason: "supported are \(known); \(Self.remedy)")
    }
    self.init(method)
    switch method {
    case .fp8: block = try Self.block(c)
    case .fbgemmFP8, .mxfp4, .bitsandbytes: break
    case .compressedTensors:
      let format = try c.text("format", default: "dense")
      try c.checkSupported(
        Self.formats.contains(format), "format",
        "supported are \(Self.formats.joined(separator: ", ")); \(Self.remedy)")
      let transforms = try c.optionalObject("transform_config")?.value(["config_groups"])
      try c.checkSupported(
        transforms?.value.object?.members.isEmpty ?? true, "transform_config",
        "rotated weights cannot be read; \(Self.remedy)")
      let sparsity = try c.optionalObject("sparsity_config")?.optionalText("format")
      try c.checkSupported(
        sparsity == nil || sparsity == "dense", "sparsity_config",
        "sparse weights cannot be read; \(Self.remedy)")
    case .awq:
      try Self.checkBits(c)
      let version = try c.text("version", default: "gemm")
      try c.checkSupported(
        version.lowercased() == "gemm", "version", "supported is gemm; \(Self.remedy)")
      block = try Self.group(c)
    case .gptq:
      try Self.checkBits(c)
      let format = try c.text("checkpoint_format", default: "gptq")
      try c.checkSupported(
        ["gptq", "gptq_v2"].contains(format), "checkpoint_format",
        "supported are gptq and gptq_v2; \(Self.remedy)")
      try c.checkSupported(
        !c.flag("is_marlin_format", default: false), "is_marlin_format",
        "weights packed for the Marlin kernel cannot be read; \(Self.remedy)")
      zerosAreLessOne = format == "gptq"
      block = try Self.group(c)
    }
  }

  /// The supported formats of compressed-tensors.
  private static let formats = [
    "dense", "pack-quantized", "float-quantized", "int-quantized", "naive-quantized",
    "mxfp4-pack-quantized", "mixed-precision",
  ]

  /// The remedy for unsupported quantisation.
  private static let remedy =
    "use the unquantised checkpoint, or dequantise this one with transformers in Python: "
    + "model.dequantize(); model.save_pretrained(\"NEW-FOLDER\")"

  private static func checkBits(_ c: Configuration) throws(ModelError) {
    try c.checkSupported(
      try c.optionalSize("bits", "w_bit") == 4, "bits", "supported are 4 bits; \(remedy)")
  }

  /// The number of inputs that share a scale; −1 stands for all of them.
  private static func group(_ c: Configuration) throws(ModelError) -> (rows: Int, columns: Int)? {
    guard let size = c.value(["group_size", "q_group_size"])?.value.int else { return nil }
    try c.check(size == -1 || (1...1 << 31).contains(size), "group_size", "must be a size or -1")
    return size == -1 ? nil : (size, 1)
  }

  /// `weight_block_size`: two sizes, by default 128 × 128; null if there is a single scale.
  private static func block(_ c: Configuration) throws(ModelError) -> (rows: Int, columns: Int)? {
    guard let sizes = c.value(["weight_block_size"])?.value else {
      return c.mentions("weight_block_size") ? nil : (128, 128)
    }
    let sides = sizes.array?.compactMap(\.int) ?? []
    try c.check(
      sides.count == 2 && sides.allSatisfy { (1...1 << 31).contains($0) }, "weight_block_size",
      "must be two sizes")
    return (sides[0], sides[1])
  }
}
