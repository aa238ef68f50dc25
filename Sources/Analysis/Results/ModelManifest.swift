import Model

/// Everything that determines the numbers of a command that runs a model: the model's weights, prompts, and settings.
package protocol ModelManifest: FolderManifest {
  /// The version that runs it.
  var krylens: String { get }
  /// The model.
  var model: ModelRecord { get }
  /// The kinds of processor that computed any of it.
  var computedWith: [ProcessorRecord] { get set }
  /// The settings that determine numbers and in which another run differs, in one form for all requests that mean the same.
  func differences(from requested: Self, isComplete: Bool) throws -> [RecordDifference]
  /// Takes over what the run that it resumes has decided by itself.
  mutating func follow(_ earlier: Self)
}

extension ModelManifest {
  /// Nothing, for commands that decide nothing by themselves.
  package mutating func follow(_ earlier: Self) {}

  /// Why another run cannot resume this one, prompts aside. Settings that no number depends on may differ.
  func obstacleBesidesPrompts(to requested: Self, isComplete: Bool) throws -> SettingMessage? {
    if krylens != requested.krylens {
      return "it was made by version \(krylens), but this is version \(requested.krylens)"
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
    manifest.follow(self)
    manifest.computedWith =
      computedWith + requested.computedWith.filter { !computedWith.contains($0) }
    return manifest
  }
}

/// The manifest of a command whose record begins with a `RecordHead` and holds each prompt as a `PromptEntry`.
package protocol PromptManifest: ModelManifest {
  associatedtype Settings: Codable & Sendable
  /// The command.
  var command: RunKind { get }
  /// All settings in effect.
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
      return "it has \(prompts.count) prompts, but \(requested.prompts.count) are given"
    }
    let p = prompts.indices.first { prompts[$0].read != requested.prompts[$0].read }
    return p.map {
      "its prompt \($0 + 1) differs from \(PromptLabel(number: $0 + 1, requested.prompts[$0]))"
    }
  }

  /// The head of its record.
  func head(isComplete: Bool) -> RecordHead<Settings> {
    RecordHead(
      command: command.rawValue, complete: isComplete, model: model, settings: settings,
      computedWith: computedWith)
  }
}
