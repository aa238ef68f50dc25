import Analysis

extension ModelRequest {
  /// Reads those of its settings that a function knows. Throws `RunError`.
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
      default: preconditionFailure("\(key) is no setting of a model")
      }
    }
  }
}
