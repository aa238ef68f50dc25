import Files
import LinearAlgebra
import Weights

/// The file in which tools exchange a Jacobian lens: a dictionary written by torch.save with four keys, `J` (from layers to
/// (d, d) matrices), `n_prompts`, `source_layers` and `d_model`.
///
/// Layer l is the output of the block with index l, counted from 0: the boundary after l + 1 blocks. The pickle is parsed,
/// not executed, and other keys are ignored. Everything but the matrices' numbers is checked when the file is opened.
public final class TorchLensFile {
  /// The number of prompts that the lens is a mean over.
  public let promptCount: Int
  /// The width d of the residual stream.
  public let width: Int
  /// The layers that have a matrix, ascending, counted as in the file.
  public let layers: [Int]
  private let file: MappedFile
  private let table: TensorTable

  /// The largest numbers of layers and prompts that are accepted.
  private static let mostLayers = 1 << 16
  private static let mostPrompts = 1 << 40

  /// Maps the file at `path` and reads its directory and its pickle.
  ///
  /// Throws `FileError`: what `TorchArchive` throws, `missingField`, `invalidField`, `wrongShape`, `unsupportedType`.
  public init(_ path: String) throws(FileError) {
    let archive = try TorchArchive(path, allowsPlainData: true)
    guard case .dictionary(let root) = archive.pickle.root else {
      throw archive.invalid("the pickle", "not a dictionary")
    }
    var members: [String: Pickle.Value] = [:]
    for case (.text(let key), let value) in archive.pickle.dictionaries[root] {
      guard members.updateValue(value, forKey: key) == nil else {
        throw .duplicateName(file: path, name: key)
      }
    }
    func member(_ key: String) throws(FileError) -> Pickle.Value {
      guard let value = members[key] else { throw .missingField(file: path, field: key) }
      return value
    }
    func count(_ key: String, upTo limit: Int) throws(FileError) -> Int {
      guard case .integer(let value) = try member(key), (1...limit).contains(value) else {
        throw archive.invalid(key, "not an integer from 1 to \(limit)")
      }
      return value
    }
    guard case .dictionary(let matrices) = try member("J") else {
      throw archive.invalid("J", "not a dictionary from layers to matrices")
    }
    width = try count("d_model", upTo: 1 << 24)
    promptCount = try count("n_prompts", upTo: Self.mostPrompts)
    var infos: [TensorInfo] = []
    var layers: [Int] = []
    for (key, value) in archive.pickle.dictionaries[matrices] {
      guard case .integer(let layer) = key, (0..<Self.mostLayers).contains(layer) else {
        throw archive.invalid("J", "a layer is not an integer from 0 to \(Self.mostLayers - 1)")
      }
      let info = try archive.info("J[\(layer)]", value)
      guard info.shape == [width, width] else {
        throw .wrongShape(
          file: path, tensor: info.name, shape: info.shape, needed: "[\(width), \(width)] (d_model)"
        )
      }
      guard let type = info.elementType, [.f64, .f32, .f16, .bf16].contains(type) else {
        throw .unsupportedType(file: path, tensor: info.name, type: info.typeName)
      }
      infos.append(info)
      layers.append(layer)
    }
    guard !layers.isEmpty else { throw archive.invalid("J", "it has no matrix") }
    table = try TensorTable(infos, file: path)
    self.layers = layers.sorted()
    guard case .list(let listed) = try member("source_layers"),
      archive.pickle.lists[listed].map(\.integer) == self.layers
    else {
      throw archive.invalid("source_layers", "not the list of the layers in J")
    }
    try archive.file.checkIntact()
    file = archive.file
  }

  /// The (d, d) matrix of a layer; row i belongs to output i.
  ///
  /// Throws `FileError.missingTensor`, `invalidField` for numbers that are not finite, and `changedWhileMapped`.
  public func matrix(ofLayer layer: Int) throws(FileError) -> Matrix<Float> {
    let tensor = try table.tensor("J[\(layer)]", in: file)
    let numbers = tensor.numbers()
    tensor.advise(.dontNeed)
    try file.checkIntact()
    guard numbers.allSatisfy(\.isFinite) else {
      throw .invalidField(
        file: file.path, field: tensor.name, reason: "it contains NaN or infinity")
    }
    return Matrix(rows: width, columns: width, elements: numbers)
  }

  /// Writes such a file, one matrix at a time, in half precision if none of the matrix's numbers overflows, else in single.
  ///
  /// Precondition: layers are ascending, and matrices have shape (width, width). Throws `FileError.cannotWrite` and what
  /// `matrix` throws.
  public static func write(
    to path: String, layers: [Int], width: Int, promptCount: Int,
    matrix: (_ layer: Int) throws -> Matrix<Double>
  ) throws {
    let archive = try ZipWriter(path)
    var types: [ElementType] = []
    for (place, layer) in layers.enumerated() {
      let numbers = try matrix(layer).elements.map { Float($0) }
      precondition(numbers.count == width * width, "a matrix of another width")
      let type: ElementType = numbers.allSatisfy { Float16($0).isFinite } ? .f16 : .f32
      types.append(type)
      var bytes: [UInt8] = []
      type.encode(numbers.span, to: &bytes)
      try archive.add("lens/data/\(place)", bytes)
    }
    try archive.add(
      "lens/data.pkl",
      pickle(layers: layers, types: types, width: width, promptCount: promptCount))
    try archive.add("lens/byteorder", Array("little".utf8))
    try archive.add("lens/version", Array("3\n".utf8))
    try archive.finish()
  }

  private static func pickle(
    layers: [Int], types: [ElementType], width: Int, promptCount: Int
  ) -> [UInt8] {
    var pickle = PickleWriter()
    pickle.put(.emptyDictionary, .mark)
    pickle.put("J")
    pickle.put(.emptyDictionary, .mark)
    for (place, layer) in layers.enumerated() {
      pickle.put(layer)
      // _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks); offset and strides count numbers.
      pickle.put(global: "torch._utils", "_rebuild_tensor_v2")
      pickle.put(.mark, .mark)
      pickle.put("storage")
      pickle.put(global: "torch", types[place] == .f16 ? "HalfStorage" : "FloatStorage")
      pickle.put("\(place)")
      pickle.put("cpu")
      pickle.put(width * width)
      pickle.put(.tuple, .persistent)
      pickle.put(0)
      for pair in [(width, width), (width, 1)] {
        pickle.put(pair.0)
        pickle.put(pair.1)
        pickle.put(.tuple2)
      }
      pickle.put(.false_)
      pickle.put(global: "collections", "OrderedDict")
      pickle.put(.emptyTuple, .reduce, .tuple, .reduce)
    }
    pickle.put(.setItems)
    pickle.put("n_prompts")
    pickle.put(promptCount)
    pickle.put("source_layers")
    pickle.put(.emptyList, .mark)
    for layer in layers { pickle.put(layer) }
    pickle.put(.appends)
    pickle.put("d_model")
    pickle.put(width)
    pickle.put(.setItems, .stop)
    return pickle.bytes
  }
}

/// Writes a pickle in protocol 2, opcode by opcode.
private struct PickleWriter {
  private(set) var bytes: [UInt8] = [Pickle.Opcode.protocolVersion.rawValue, 2]

  mutating func put(_ opcodes: Pickle.Opcode...) { bytes += opcodes.map(\.rawValue) }

  mutating func put(_ text: String) {
    put(.text)
    bytes.put(UInt32(text.utf8.count))
    bytes += Array(text.utf8)
  }

  mutating func put(_ number: Int) {
    if let short = Int32(exactly: number) {
      put(.int32)
      bytes.put(short)
    } else {
      put(.long)
      bytes.append(8)
      bytes.put(Int64(number))
    }
  }

  mutating func put(global module: String, _ name: String) {
    put(.global)
    bytes += Array("\(module)\n\(name)\n".utf8)
  }
}

extension Pickle.Value {
  fileprivate var integer: Int? { if case .integer(let value) = self { value } else { nil } }
}
