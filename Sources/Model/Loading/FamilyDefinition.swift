/// A family of models as one value: what files call it, how it is read from them, and how its training began.
///
/// Each file in `Families` makes one and `FamilyDefinition.builtIn` lists them. A family from elsewhere joins the list that
/// `loadTransformer` is given.
public struct FamilyDefinition: Sendable {
  /// What records call the family: `llama`.
  public var name: String
  /// The values of `model_type` in config.json that mean this family.
  public var modelTypes: [String]
  /// The values of `model_type` of models of text and other things (images, sound) that hold a model of this family, and
  /// which `model_type` its configuration within theirs has where it does not say. Of such a model this part alone is read.
  public var outerTypes: [String: String]
  /// Which part of those it is.
  public var tower: Tower
  /// What the residual function of a block is, for people. A model whose configuration arranges its blocks otherwise says
  /// so in its own description.
  public var residual: String
  /// How the family's GGUF files are read, by architecture; none where llama.cpp does not have it.
  public var gguf: [GGUFDialect]
  /// How its tensors are initialised before training.
  public var initialisation: Initialisation
  /// Makes the model of a file's configuration and weights. Throws `ModelError`, `FileError`.
  public var read: @Sendable (ModelFile) throws -> any Transformer

  /// A family whose `model_type` is its name unless others are given, and whose blocks are Llama's two halves unless
  /// `residual` says otherwise.
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

  /// The family of a `model_type`; of several, the first. Throws `ModelError.unknownArchitecture`.
  func family(ofType type: String, in file: String) throws(ModelError) -> FamilyDefinition {
    if let family = first(where: { $0.modelTypes.contains(type) }) { return family }
    throw .unknownArchitecture(
      file: file, name: type,
      known: flatMap { $0.modelTypes + $0.outerTypes.keys.sorted() }.distinct)
  }

  /// The family of a GGUF file and how it is read. Throws `ModelError.unknownArchitecture`, or `unsupportedKey` for a
  /// family that has no GGUF.
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
  /// Each once, in the order in which they first come.
  fileprivate var distinct: [String] {
    reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}
