import Model

/// What decides the numbers of a command that runs a model on prompts: the model's weights, the prompts, and settings.
package protocol ModelManifest: FolderManifest {
  /// The version that runs it.
  var krylens: String { get }
  /// The model.
  var model: ModelRecord { get }
  /// The prompts.
  var prompts: [PromptEntry] { get }
  /// What computed any of it.
  var computedWith: [ProcessorRecord] { get set }
  /// The settings that decide the numbers in which another run differs, the same for all ways of asking for the same ones.
  func differences(from requested: Self, isComplete: Bool) throws -> [RecordDifference]
}

extension ModelManifest {
  /// Settings that no number depends on may differ.
  package func obstacle(to requested: Self, isComplete: Bool) throws -> SettingMessage? {
    if krylens != requested.krylens {
      return "it was made by version \(krylens), and this is \(requested.krylens)"
    }
    if model.fingerprint != requested.model.fingerprint {
      return "its model has other weights or another configuration (\(model.source))"
    }
    let differences = try differences(from: requested, isComplete: isComplete)
    if let first = differences.first {
      return differences.dropFirst().reduce(first.message) { "\($0), \($1.message)" }
    }
    guard prompts.count == requested.prompts.count else {
      return "it has \(prompts.count) prompts, and \(requested.prompts.count) are given"
    }
    let p = prompts.indices.first { prompts[$0].read != requested.prompts[$0].read }
    return p.map {
      "its prompt \($0 + 1) is another one than \(PromptLabel(number: $0 + 1, requested.prompts[$0]))"
    }
  }

  package func continued(by requested: Self) -> Self {
    var manifest = requested
    manifest.computedWith =
      computedWith + requested.computedWith.filter { !computedWith.contains($0) }
    return manifest
  }
}
