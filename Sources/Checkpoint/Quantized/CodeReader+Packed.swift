import Files
import Weights

extension CodeReader {
  /// The weight whose four-bit codes are in this tensor, recognised by the ending of its name; nil if it is not one of them.
  func packed(_ info: TensorInfo) -> CodedTensor? {
    func stem(_ ending: String, with companion: String) -> String? {
      guard info.name.hasSuffix(ending) else { return nil }
      let stem = String(info.name.dropLast(ending.count))
      return source.contains(stem + companion) ? stem : nil
    }
    if let stem = stem("_blocks", with: "_scales") { return experts(stem) }
    if let stem = stem(".weight_packed", with: ".weight_scale") { return compressed(stem) }
    if let stem = stem(".qweight", with: ".scales") {
      return scheme.method == .awq ? awq(stem) : gptq(stem)
    }
    return nil
  }

  private func coded(
    _ name: String, _ type: String, parts: [String],
    _ body: () throws(FileError) -> StoredTensor
  ) -> CodedTensor {
    let content: Result<StoredTensor, FileError>
    do throws(FileError) { content = .success(try body()) } catch { content = .failure(error) }
    return CodedTensor(name: name, parts: parts, typeName: type, content: content)
  }

  // MARK: MXFP4

  /// The experts of gpt-oss: blocks (experts, outputs, groups, 16) and exponents (experts, outputs, groups). The original
  /// weight has shape (experts, inputs, outputs).
  private func experts(_ stem: String) -> CodedTensor {
    coded(stem, "MXFP4", parts: [stem + "_scales"]) { () throws(FileError) in
      let (codes, scale) = (try piece(stem + "_blocks"), try piece(stem + "_scales"))
      guard codes.shape.count == 4, codes.shape[3] == 16 else {
        throw codes.wrongShape("[experts, outputs, groups, 16]")
      }
      try codes.check(["U8"])
      try scale.check(["U8", "F8_E8M0"], shape: Array(codes.shape[..<3]))
      let (outputs, groups) = (codes.shape[1], codes.shape[2])
      var scales = CodeScales(numbers: scale.base, type: .e8m0, owners: [scale.stored.owner])
      (scales.blockRows, scales.blockColumns, scales.stride) = (1, 32, groups)
      return tensor(
        stem, [codes.shape[0], 32 * groups, outputs], .e2m1, codes,
        CodedLayout(
          scales: scales, step: outputs * groups, rows: outputs, columns: 32 * groups,
          rowBytes: 16 * groups, isTransposed: true))
    }
  }

  // MARK: compressed-tensors

  /// Four-bit integers in 32-bit words, or MXFP4 in bytes, packed along the inputs.
  private func compressed(_ stem: String) -> CodedTensor {
    let endings = ["scale", "zero_point", "shape", "g_idx", "global_scale"]
    let isWords = source.info(stem + ".weight_packed")?.typeName == "I32"
    return coded(
      stem + ".weight", isWords ? "INT4" : "MXFP4", parts: endings.map { "\(stem).weight_\($0)" }
    ) { () throws(FileError) in
      let codes = try piece(stem + ".weight_packed")
      let scale = try piece(stem + ".weight_scale")
      guard codes.shape.count == 2 else { throw codes.wrongShape("a matrix") }
      for (ending, reason) in [
        ("g_idx", "its inputs are reordered by activations (actorder)"),
        ("global_scale", "it is packed as NVFP4"),
      ] where source.contains("\(stem).weight_\(ending)") {
        throw .invalidField(
          file: codes.stored.file, field: codes.info.name,
          reason: "\(reason), which is not supported; dequantise the model and save it again")
      }
      let (rows, packed) = (codes.shape[0], codes.shape[1])
      let columns = packed * (isWords ? 8 : 2)
      try checkShape("\(stem).weight_shape", [rows, columns], codes)
      let type = try scaleType(scale)
      var scales = CodeScales(numbers: scale.base, type: type, owners: [scale.stored.owner])
      try setBlocks(&scales, scale.shape, rows: rows, columns: columns, of: scale)
      scales.rounded = type == .e8m0 ? .f32 : type
      let zero = "\(stem).weight_zero_point"
      if isWords, source.contains(zero) {
        let zeros = try piece(zero)
        guard scales.blockRows == 1 else {
          throw scale.wrongShape("[\(rows), groups] with zero points")
        }
        try zeros.check(["I32"], shape: [(rows + 7) / 8, scales.stride])
        (scales.zeros, scales.zerosStride) = (zeros.base, 4 * scales.stride)
        scales.owners.append(zeros.stored.owner)
      }
      return tensor(
        stem + ".weight", [rows, columns], isWords ? .int4 : .e2m1, codes,
        CodedLayout(
          scales: scales, step: 0, rows: rows, columns: columns,
          rowBytes: isWords ? 4 * packed : packed, isTransposed: false))
    }
  }

  /// Throws if the stored shape of a packed weight differs from `sides`; it need not be stored.
  private func checkShape(_ name: String, _ sides: [Int], _ codes: Piece) throws(FileError) {
    guard source.contains(name) else { return }
    let shape = try piece(name)
    try shape.check(["I64", "I32"], shape: [2])
    let stored = (0..<2).map { i in
      shape.info.typeName == "I64"
        ? Int(shape.stored.bytes.loadUnaligned(fromByteOffset: 8 * i, as: Int64.self))
        : Int(shape.stored.bytes.loadUnaligned(fromByteOffset: 4 * i, as: Int32.self))
    }
    guard stored == sides else {
      throw .invalidField(
        file: codes.stored.file, field: name,
        reason: "it is \(stored), but words of four-bit codes give \(sides); other numbers of bits "
          + "are not supported")
    }
  }

  // MARK: AWQ, GPTQ

  /// Words (inputs, outputs / 8) of AutoAWQ's `gemm` format, with scales (groups, outputs) and zero points packed like the
  /// words.
  private func awq(_ stem: String) -> CodedTensor {
    coded(
      stem + ".weight", "INT4 (AWQ)", parts: [stem + ".scales", stem + ".qzeros"]
    ) { () throws(FileError) in
      let codes = try piece(stem + ".qweight")
      guard codes.shape.count == 2 else { throw codes.wrongShape("[inputs, outputs / 8]") }
      try codes.check(["I32"])
      let (inputs, outputs) = (codes.shape[0], 8 * codes.shape[1])
      let scales = try groupScales(stem, inputs: inputs, outputs: outputs)
      return tensor(
        stem + ".weight", [outputs, inputs], .int4_awq, codes,
        CodedLayout(
          scales: scales, step: 0, rows: inputs, columns: outputs, rowBytes: outputs / 2,
          isTransposed: true))
    }
  }

  /// Words (inputs / 8, outputs) of GPTQ, with scales (groups, outputs), zero points packed along the outputs and, if inputs
  /// were reordered by activations, the group of each input.
  private func gptq(_ stem: String) -> CodedTensor {
    coded(
      stem + ".weight", "INT4 (GPTQ)",
      parts: [stem + ".scales", stem + ".qzeros", stem + ".g_idx"]
    ) { () throws(FileError) in
      let codes = try piece(stem + ".qweight")
      guard scheme.method == .gptq, codes.shape.count == 2 else {
        throw codes.wrongShape("[inputs / 8, outputs] of \"quant_method\" gptq")
      }
      try codes.check(["I32"])
      let (inputs, outputs) = (8 * codes.shape[0], codes.shape[1])
      var scales = try groupScales(stem, inputs: inputs, outputs: outputs)
      scales.zerosAreLessOne = scheme.zerosAreLessOne
      if source.contains(stem + ".g_idx") {
        let order = try piece(stem + ".g_idx")
        try order.check(["I32"], shape: [inputs])
        let groups = try piece(stem + ".scales").shape[0]
        for i in 0..<inputs {
          let group = order.stored.bytes.loadUnaligned(fromByteOffset: 4 * i, as: Int32.self)
          guard group >= 0, group < groups else {
            throw .invalidField(
              file: order.stored.file, field: order.info.name,
              reason: "it contains group \(group) of \(groups)")
          }
        }
        scales.groups = order.base
        scales.owners.append(order.stored.owner)
      }
      return tensor(
        stem + ".weight", [outputs, inputs], .int4_rows, codes,
        CodedLayout(
          scales: scales, step: 0, rows: inputs, columns: outputs, rowBytes: 4 * outputs,
          isTransposed: true))
    }
  }

  /// The scales (groups, outputs) and zero points (groups, outputs / 8) of words whose rows are inputs.
  private func groupScales(
    _ stem: String, inputs: Int, outputs: Int
  ) throws(FileError) -> CodeScales {
    let (scale, zeros) = (try piece(stem + ".scales"), try piece(stem + ".qzeros"))
    try scale.check(["F16", "BF16", "F32"])
    let type = try scaleType(scale)
    let size = scheme.block?.rows ?? 0
    guard scale.shape.count == 2, scale.shape[1] == outputs, scale.shape[0] > 0,
      inputs % scale.shape[0] == 0 || size > 0 && (inputs - 1) / size + 1 == scale.shape[0]
    else { throw scale.wrongShape("[groups, \(outputs)]") }
    let groups = scale.shape[0]
    try zeros.check(["I32"], shape: [groups, (outputs + 7) / 8])
    var scales = CodeScales(
      numbers: scale.base, type: type, owners: [scale.stored.owner, zeros.stored.owner])
    scales.blockRows = inputs % groups == 0 ? inputs / groups : size
    (scales.blockColumns, scales.stride, scales.rounded) = (1, outputs, type)
    (scales.zeros, scales.zerosStride) = (zeros.base, 4 * ((outputs + 7) / 8))
    return scales
  }
}
