import Alignment
import Analysis
import Lanczos
import Model

extension ModelRequest {
  /// Reads the given settings of a model. Throws `RunError`.
  mutating func read(_ reader: SettingsReader, _ keys: SettingKey...) throws(RunError) {
    for key in keys {
      switch key {
      case .name: name = try reader.text(key)
      case .step: step = try reader.integer(key)
      case .randomInit: randomInit = try reader.flag(key)
      case .seed: seed = try reader.seed(key)
      case .encoderPrompt: encoderPrompt = try reader.text(key)
      case .encoderTokenIds: encoderTokenIds = try reader.integers(key)
      case .threads: threads = try reader.integer(key)
      case .maxMemory: maxMemory = try reader.integer(key)
      case .output: output = try reader.text(key)
      default: preconditionFailure("\(key) is not a setting of a model")
      }
    }
  }
}

extension SettingsReader {
  /// The prompts, in the order of the command: texts, token ids, images. Throws `RunError`.
  func prompts(several keys: SettingKey...) throws(RunError) -> [PromptInput] {
    var inputs: [PromptInput] = []
    for key in [.prompt] + keys { inputs += try texts(key).map { .text($0) } }
    inputs += try integerLists(.tokenIds).map { .tokens($0) }
    return inputs + (try texts(.image).map { .image($0) })
  }

  /// `last`, `all`, an index or an array of them.
  func tokens(_ key: SettingKey) throws(RunError) -> TokenList? {
    try read(key, "last, all, an index, or an array of indices") { value in
      value.string.flatMap(TokenList.init) ?? value.int.map { .indices([$0]) }
        ?? value.integers.map { .indices($0) }
    }
  }

  /// `last` or an index.
  func token(_ key: SettingKey) throws(RunError) -> TokenIndex? {
    try read(key, "last or an index") { value in
      value.string.flatMap(TokenIndex.init) ?? value.int.map { .index($0) }
    }
  }

  /// The mode of the search for missed triplets.
  func certify() throws(RunError) -> CertifyMode? {
    try read(.certify, "auto, proof, bound, off, or a probability between 0 and 1") { value in
      value.string.flatMap(CertifyMode.init) ?? value.double.map { .probability($0) }
    }
  }
}

extension MapSelection {
  /// Reads the selection of a map. Throws `RunError`.
  init(_ reader: SettingsReader) throws(RunError) {
    self.init()
    fromLayer = try reader.integer(.fromLayer)
    toLayer = try reader.read(.toLayer, "a boundary, final or logits") { value in
      value.string.flatMap(MapEnd.init) ?? value.int.map { .layer($0) }
    }
    logits = try reader.integers(.logits)
    fromToken = try reader.tokens(.fromToken) ?? fromToken
    toToken = try reader.tokens(.toToken) ?? toToken
    skip = try reader.integer(.skip) ?? skip
    tied = try reader.flag(.tied) ?? tied
    reduce = try reader.choice(.reduce) ?? reduce
    site = try reader.choice(.site) ?? site
    head = try reader.integer(.head)
    expert = try reader.integer(.expert)
    linearization = try reader.choice(.linearization) ?? linearization
    path = try reader.choice(.path) ?? path
    identity = try reader.choice(.identity) ?? identity
  }
}

extension MapSolution {
  /// Reads the settings of a solve; `precision` is the default. Throws `RunError`.
  init(_ reader: SettingsReader, precision: PrecisionMode) throws(RunError) {
    self.init()
    top = try reader.integer(.top)
    solver = try reader.choice(.solver) ?? solver
    blockSize = try reader.integer(.blockSize)
    tolerance = try reader.number(.tolerance) ?? tolerance
    self.precision = try reader.choice(.precision) ?? precision
    certify = try reader.certify() ?? certify
  }
}
