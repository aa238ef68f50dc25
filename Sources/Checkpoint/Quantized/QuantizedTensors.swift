import Files
import Weights

/// The weights of a folder under the names they had before they were quantised: each is its codes with the scales beside them,
/// which no longer show. What was not quantised stays as it is.
///
/// Nothing is copied. A weight that cannot be read is an error when it is asked for, so that parts of a checkpoint that no
/// model here has do not matter.
public struct QuantizedTensors: TabulatedTensors {
  private let base: any TensorSource
  let table: TensorTable
  /// The quantised ones by their position; nil for the others.
  private let coded: [Result<StoredTensor, FileError>?]

  /// Endings of what is there for activations and for cached keys and values, which are not quantised here.
  private static let ofActivations = [
    ".input_scale", ".input_zero_point", ".activation_scale", ".input_scale_ub", ".output_scale",
    ".k_scale", ".v_scale", ".q_scale", ".prob_output_scale", ".input_global_scale",
    ".weight_format",
  ]

  /// The weights of `source` with what the scheme quantised put together. Throws `FileError.duplicateName`.
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

  /// The file, or what names the files or holds them.
  public var path: String { base.path }

  /// A view of a tensor's codes or numbers. Throws `FileError.missingTensor`, `unsupportedType`, and for codes what is wrong
  /// with them or their scales.
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

/// A quantised weight: its name before, what belongs to it besides its codes, and what it is.
struct CodedTensor {
  let name: String
  let parts: [String]
  /// The stored type, for people.
  let typeName: String
  let content: Result<StoredTensor, FileError>

  /// What is known of it; `codes` is what the file says of its codes, and all of it takes `size` bytes.
  func info(like codes: TensorInfo, size: Int) -> TensorInfo {
    let tensor = try? content.get()
    let start = codes.byteRange.lowerBound
    return TensorInfo(
      name: name, shape: tensor?.shape ?? codes.shape, typeName: typeName,
      elementType: tensor?.elementType, byteRange: start..<start + size)
  }
}
