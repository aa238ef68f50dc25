import Files
import Weights

/// The weights of a folder under the names they had before quantisation. Each quantised weight combines its codes with their
/// scales, which are no longer listed as tensors. Other tensors are unchanged.
///
/// Nothing is copied. A weight that cannot be read is an error only when it is requested, so that parts of a checkpoint that
/// no model uses do not matter.
public struct QuantizedTensors: TabulatedTensors {
  private let base: any TensorSource
  let table: TensorTable
  /// The quantised weights by their position in `table`; nil for other tensors.
  private let coded: [Result<StoredTensor, FileError>?]

  /// The endings of tensors for quantising activations and cached keys and values, which is not done here.
  private static let ofActivations = [
    ".input_scale", ".input_zero_point", ".activation_scale", ".input_scale_ub", ".output_scale",
    ".k_scale", ".v_scale", ".q_scale", ".prob_output_scale", ".input_global_scale",
    ".weight_format",
  ]

  /// The weights of `source`, with the codes and scales of the scheme combined. Throws `FileError.duplicateName`.
  public init(_ source: any TensorSource, scheme: QuantizationScheme) throws(FileError) {
    let reader = CodeReader(source: source, scheme: scheme)
    var parts: Set<UTF8Key> = []
    var found: [UTF8Key: CodedTensor] = [:]
    for info in source.tensors {
      guard let tensor = reader.tensor(of: info) else { continue }
      found[UTF8Key(info.name)] = tensor
      parts.formUnion(tensor.parts.map { UTF8Key($0) })
    }
    var infos: [TensorInfo] = []
    var coded: [Result<StoredTensor, FileError>?] = []
    for info in source.tensors {
      let key = UTF8Key(info.name)
      if let tensor = found[key] {
        let size = ([info.name] + tensor.parts).reduce(0) {
          $0 + (source.info($1)?.byteRange.count ?? 0)
        }
        infos.append(tensor.info(like: info, size: size))
        let parts = tensor.parts.compactMap { try? source.storedBytes($0) }
        coded.append(tensor.content.map { $0.with(parts) })
      } else if !parts.contains(key), !Self.ofActivations.contains(where: info.name.hasSuffix) {
        infos.append(info)
        coded.append(nil)
      }
    }
    base = source
    table = try TensorTable(infos, file: source.path)
    self.coded = coded
  }

  /// The file, the index or the folder, for messages.
  public var path: String { base.path }

  /// A view of a tensor's codes or numbers. Throws `FileError.missingTensor`, `unsupportedType`, and for codes the error of
  /// combining them with their scales.
  public func tensor(_ name: String) throws(FileError) -> StoredTensor {
    guard let position = table.position(of: name) else {
      throw .missingTensor(file: path, tensor: name)
    }
    if let tensor = coded[position] { return try tensor.get() }
    return try base.tensor(name)
  }

  /// Throws `FileError.changedWhileMapped` if a file changed since it was opened.
  public func checkIntact() throws(FileError) { try base.checkIntact() }
}

/// A quantised weight.
struct CodedTensor {
  /// Its name before quantisation.
  let name: String
  /// The names of the stored tensors that belong to it besides its codes.
  let parts: [String]
  /// The stored type, for messages.
  let typeName: String
  /// The weight, or why it cannot be read.
  let content: Result<StoredTensor, FileError>

  /// The weight's entry in the table; `codes` is the entry of its codes, and `size` the bytes of all its parts.
  func info(like codes: TensorInfo, size: Int) -> TensorInfo {
    let tensor = try? content.get()
    let start = codes.byteRange.lowerBound
    return TensorInfo(
      name: name, shape: tensor?.shape ?? codes.shape, typeName: typeName,
      elementType: tensor?.elementType, byteRange: start..<start + size)
  }
}
