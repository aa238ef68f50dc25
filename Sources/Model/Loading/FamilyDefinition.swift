/// A family of models as one value: the names files give it, how it is read from them, and how its tensors are
/// initialised.
///
/// Each file in `Families` defines one, and `FamilyDefinition.builtIn` lists them. Families from other packages are
/// added to the list passed to `loadTransformer`.
public struct FamilyDefinition: Sendable {
  /// The family's name in records, such as `llama`.
  public var name: String
  /// The values of `model_type` in config.json that denote this family.
  public var modelTypes: [String]
  /// The values of `model_type` of multimodal models (images, sound) that contain a model of this family, each with
  /// the `model_type` that the inner configuration has if it gives none. Of such a model only this part is read.
  public var outerTypes: [String: String]
  /// The part of such a model that the family reads.
  public var tower: Tower
  /// The residual function of a block, in words for readers. A model whose configuration arranges its blocks
  /// differently says so in its own description.
  public var residual: String
  /// The dialects of the family's GGUF files, by architecture; empty if llama.cpp does not support the family.
  public var gguf: [GGUFDialect]
  /// The initialisation of its tensors before training.
  public var initialisation: Initialisation
  /// Creates a model from a file's configuration and weights. Throws `ModelError`, `FileError`.
  public var read: @Sendable (ModelFile) throws -> any Transformer

  /// Creates a family whose `model_type` is its name unless others are given, and whose blocks have Llama's two
  /// halves unless `residual` says otherwise.
  public init(
    _ name: String, modelTypes: [String]? = nil, outerTypes: [String: String] = [:],
    tower: Tower = .text,
    residual: String = "f(X) = attention(norm X) + mlp(norm Z), Z = X + attention(norm X)",
    gguf: GGUFDialect..., initialisation: Initialisation = Initialisation(),
    read: @escaping @Sendable (ModelFile) throws -> any Transformer
  ) {
    self.name = name
    self.modelTypes = modelTypes ?? [name]
    (self.outerTypes, self.tower) = (outerTypes, tower)
    self.residual = residual
    self.gguf = gguf
    self.initialisation = initialisation
    self.read = read
  }
}

extension [FamilyDefinition] {
  /// The families of this package.
  public static var builtIn: [FamilyDefinition] { FamilyDefinition.builtIn }

  /// The family of a `model_type`; if there are several, the first. Throws `ModelError.unknownArchitecture`.
  func family(ofType type: String, in file: String) throws(ModelError) -> FamilyDefinition {
    if let family = first(where: { $0.modelTypes.contains(type) }) { return family }
    throw .unknownArchitecture(
      file: file, name: type,
      known: flatMap { $0.modelTypes + $0.outerTypes.keys.sorted() }.distinct)
  }

  /// The family of a GGUF file, with its dialect. Throws `ModelError.unknownArchitecture`, or `unsupportedKey` for a
  /// family without GGUF files.
  func family(
    of metadata: GGUFMetadata
  ) throws(ModelError) -> (family: FamilyDefinition, dialect: GGUFDialect) {
    let type = metadata.architecture
    for family in self {
      for dialect in family.gguf
      where dialect.architecture == type && dialect.claims(metadata) {
        return (family, dialect)
      }
    }
    if contains(where: { $0.gguf.isEmpty && $0.modelTypes.contains(type) }) {
      throw .unsupportedKey(
        file: metadata.file, key: "general.architecture", value: "\"\(type)\"",
        reason: "llama.cpp has no such architecture, so nothing says how the file is to be read; "
          + "open a folder of config.json and safetensors")
    }
    throw .unknownArchitecture(
      file: metadata.file, name: type, known: flatMap { $0.gguf.map(\.architecture) }.distinct)
  }
}

extension [String] {
  /// The distinct strings, in order of their first occurrence.
  fileprivate var distinct: [String] {
    reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}
