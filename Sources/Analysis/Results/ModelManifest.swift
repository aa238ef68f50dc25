import Model

/// What decides the numbers of a command that runs a model: the model's weights, prompts, and settings.
package protocol ModelManifest: FolderManifest {
  /// The version that runs it.
  var krylens: String { get }
  /// The model.
  var model: ModelRecord { get }
  /// What computed any of it.
  var computedWith: [ProcessorRecord] { get set }
  /// The settings that decide the numbers in which another run differs, the same for all ways of asking for the same ones.
  func differences(from requested: Self, isComplete: Bool) throws -> [RecordDifference]
}

extension ModelManifest {
  /// What keeps another run from going on where this one stopped besides its prompts. Settings that no number depends on may
  /// differ.
  func obstacleBesidesPrompts(to requested: Self, isComplete: Bool) throws -> SettingMessage? {
    if krylens != requested.krylens {
      return "it was made by version \(krylens), and this is \(requested.krylens)"
    }
    if model.fingerprint != requested.model.fingerprint {
      return "its model has other weights or another configuration (\(model.source))"
    }
    let differences = try differences(from: requested, isComplete: isComplete)
    guard let first = differences.first else { return nil }
    return differences.dropFirst().reduce(first.message) { "\($0), \($1.message)" }
  }

  package func continued(by requested: Self) -> Self {
    var manifest = requested
    manifest.computedWith =
      computedWith + requested.computedWith.filter { !computedWith.contains($0) }
    return manifest
  }
}

/// Of a command whose record begins with a `RecordHead` and has each prompt as a `PromptEntry`.
package protocol PromptManifest: ModelManifest {
  associatedtype Settings: Codable & Sendable
  /// Which command's.
  var command: RunKind { get }
  /// Every option in force.
  var settings: Settings { get }
  /// The prompts.
  var prompts: [PromptEntry] { get }
}

extension PromptManifest {
  package func obstacle(to requested: Self, isComplete: Bool) throws -> SettingMessage? {
    if let reason = try obstacleBesidesPrompts(to: requested, isComplete: isComplete) {
      return reason
    }
    guard prompts.count == requested.prompts.count else {
      return "it has \(prompts.count) prompts, and \(requested.prompts.count) are given"
    }
    let p = prompts.indices.first { prompts[$0].read != requested.prompts[$0].read }
    return p.map {
      "its prompt \($0 + 1) is another one than \(PromptLabel(number: $0 + 1, requested.prompts[$0]))"
    }
  }

  /// What a record of it begins with.
  func head(isComplete: Bool) -> RecordHead<Settings> {
    RecordHead(
      command: command.rawValue, complete: isComplete, model: model, settings: settings,
      computedWith: computedWith)
  }
}
