import Files
import Weights

/// Finds the tensors of a folder that are quantised codes, and combines each with its scales.
struct CodeReader {
  let source: any TensorSource
  let scheme: QuantizationScheme

  /// A stored tensor of any type.
  struct Piece {
    let info: TensorInfo
    let stored: StoredBytes

    var shape: [Int] { info.shape }
    var base: UnsafeRawPointer { stored.bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)! }

    func wrongShape(_ needed: String) -> FileError {
      .wrongShape(file: stored.file, tensor: info.name, shape: shape, needed: needed)
    }

    /// Throws `FileError.unsupportedType` unless the type is one of these, and `wrongShape` unless the shape is `needed`, if
    /// that is given.
    func check(_ types: Set<String>, shape needed: [Int]? = nil) throws(FileError) {
      guard types.contains(info.typeName) else {
        throw .unsupportedType(file: stored.file, tensor: info.name, type: info.typeName)
      }
      if let needed, shape != needed { throw wrongShape("\(needed)") }
    }
  }

  func piece(_ name: String) throws(FileError) -> Piece {
    guard let info = source.info(name) else {
      throw .missingTensor(file: source.path, tensor: name)
    }
    return Piece(info: info, stored: try source.storedBytes(name))
  }

  /// The quantised weight that has this tensor as its codes; nil if it holds no codes.
  func tensor(of info: TensorInfo) -> CodedTensor? {
    guard !info.shape.contains(0), !info.shape.isEmpty else { return nil }
    let name = info.name
    for (ending, kind) in [("nf4", "NF4"), ("fp4", "FP4")] {
      let state = "\(name).quant_state.bitsandbytes__\(ending)"
      if source.contains(state) {
        let parts = [".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"]
        return CodedTensor(
          name: name, parts: parts.map { name + $0 } + [state], typeName: kind,
          content: result { () throws(FileError) in try table(info, state: state) })
      }
    }
    switch info.typeName {
    case "F8_E4M3", "F8_E5M2", "I8": return bytes(info)
    case "U8", "I32": return packed(info)
    default: return nil
    }
  }

  private func result(_ body: () throws(FileError) -> StoredTensor) -> Result<
    StoredTensor, FileError
  > {
    do throws(FileError) { return .success(try body()) } catch { return .failure(error) }
  }

  // MARK: Eight bits

  private func bytes(_ info: TensorInfo) -> CodedTensor? {
    let name = info.name
    let stem = name.hasSuffix(".weight") ? name.dropLast("weight".count) : name[...]
    if info.typeName == "I8", source.contains("\(stem)SCB") {
      return CodedTensor(
        name: name, parts: ["\(stem)SCB", "\(stem)weight_format"], typeName: "INT8",
        content: result { () throws(FileError) in
          try scaled(info, by: "\(stem)SCB", rounded: .f32, factor: 7.874015718698502e-3)
        })
    }
    guard let scale = ["\(name)_scale_inv", "\(name)_scale"].first(where: source.contains) else {
      return nil
    }
    let zero = "\(name)_zero_point"
    return CodedTensor(
      name: name, parts: [scale, zero], typeName: info.typeName == "I8" ? "INT8" : info.typeName,
      content: result { () throws(FileError) in
        if source.contains(zero) { try checkIsZero(zero) }
        return try scaled(
          info, by: scale, rounded: scheme.method == .compressedTensors ? nil : .f32)
      })
  }

  /// Throws unless all stored zero points are 0; some writers store them although the quantisation is symmetric.
  private func checkIsZero(_ name: String) throws(FileError) {
    let zero = try piece(name)
    guard zero.stored.bytes.allSatisfy({ $0 == 0 }) else {
      throw .invalidField(
        file: zero.stored.file, field: name,
        reason: "eight-bit integers are supported only without zero points")
    }
  }

  /// A matrix of one-byte codes, or a stack of them, with their scales. Weights are rounded to the type `rounded`, or to
  /// that of the scales if it is nil.
  private func scaled(
    _ info: TensorInfo, by name: String, rounded: ElementType?, factor: Float = 1
  ) throws(FileError) -> StoredTensor {
    let (codes, scale) = (try piece(info.name), try piece(name))
    // For the kernel of a convolution, the format does not say what the blocks of the scales are.
    let isStack = info.shape.count == 3 && !info.name.hasSuffix(".weight")
    guard info.shape.count == 2 || isStack else { throw codes.wrongShape("a matrix") }
    let (rows, columns) = (info.shape[info.shape.count - 2], info.shape[info.shape.count - 1])
    let type = try scaleType(scale)
    var (sides, step) = (scale.shape, 0)
    if isStack, scale.info.count > 1 {
      guard sides.removeFirst() == info.shape[0] else {
        throw scale.wrongShape("[\(info.shape[0]), …]")
      }
      step = sides.reduce(1, *) * type.blockBytes
    }
    var scales = CodeScales(numbers: scale.base, type: type, owners: [scale.stored.owner])
    try setBlocks(&scales, sides, rows: rows, columns: columns, of: scale)
    scales.rounded = rounded ?? (type == .e8m0 ? .f32 : type)
    scales.factor = factor
    let types: [String: ElementType] = ["F8_E4M3": .f8_e4m3, "F8_E5M2": .f8_e5m2]
    return tensor(
      info.name, info.shape, types[info.typeName] ?? .int8, codes,
      CodedLayout(
        scales: scales, step: step, rows: rows, columns: columns, rowBytes: columns,
        isTransposed: false))
  }

  func tensor(
    _ name: String, _ shape: [Int], _ type: ElementType, _ codes: Piece, _ layout: CodedLayout
  ) -> StoredTensor {
    StoredTensor(
      name: name, shape: shape, elementType: type, bytes: codes.stored.bytes,
      file: codes.stored.file, owner: codes.stored.owner, layout: layout)
  }

  /// The type of the scales; bytes are exponents (E8M0).
  func scaleType(_ scale: Piece) throws(FileError) -> ElementType {
    let types: [String: ElementType] = [
      "F32": .f32, "F16": .f16, "BF16": .bf16, "U8": .e8m0, "F8_E8M0": .e8m0,
    ]
    guard let type = types[scale.info.typeName] else {
      throw .unsupportedType(
        file: scale.stored.file, tensor: scale.info.name, type: scale.info.typeName)
    }
    return type
  }

  /// Sets the size of the blocks that share a scale, from the shape `sides` of the scales: the whole matrix, rows, or
  /// rectangles. The last blocks of a row or column may be incomplete only if the block size is configured.
  func setBlocks(
    _ scales: inout CodeScales, _ sides: [Int], rows: Int, columns: Int, of scale: Piece
  ) throws(FileError) {
    if sides.allSatisfy({ $0 == 1 }) { return }
    if let block = scheme.block, sides.count == 2,
      sides[0] == (rows - 1) / block.rows + 1, sides[1] == (columns - 1) / block.columns + 1
    {
      (scales.blockRows, scales.blockColumns) = (block.rows, block.columns)
      scales.stride = sides[1]
      return
    }
    let sides = sides.count == 1 ? sides + [1] : sides
    guard sides.count == 2, sides[0] > 0, sides[1] > 0, rows % sides[0] == 0,
      columns % sides[1] == 0
    else { throw scale.wrongShape("a scale for each block of \(rows) × \(columns) weights") }
    (scales.blockRows, scales.blockColumns) = (rows / sides[0], columns / sides[1])
    scales.stride = sides[1]
  }
}
