import Lanczos
import Model

/// Everything that determines the numbers of an `eigen` run, written before any of them is computed.
package struct EigenManifest: PromptManifest {
  /// The command that makes such runs.
  package private(set) var command = RunKind.eigen
  package let krylens: String
  package let model: ModelRecord
  /// All settings in effect.
  package let settings: EigenSettings
  package let prompts: [PromptEntry]
  package var computedWith: [ProcessorRecord]

  /// The manifest of a complete run.
  package static func finished(in folder: String) -> EigenManifest? {
    guard RunKind(folder) == .eigen, let record = try? EigenRecord(folder: folder),
      record.head.complete
    else { return nil }
    return EigenManifest(
      krylens: record.head.krylens, model: record.head.model, settings: record.head.settings,
      prompts: record.prompts.map(\.entry), computedWith: record.head.computedWith ?? [])
  }

  package func differences(
    from requested: EigenManifest, isComplete: Bool
  ) throws -> [RecordDifference] {
    try RecordDifference.all([decisive, requested.decisive])
  }

  /// The settings that the numbers depend on, in one form for all requests that mean the same.
  private struct Decisive: Encodable, Sendable {
    var numeric: EigenSettings.Numeric
    let randomInit: Bool
    let seed: UInt64

    private enum CodingKeys: CodingKey { case randomInit, seed }

    func encode(to encoder: any Encoder) throws {
      try numeric.encode(to: encoder)
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(randomInit, forKey: .randomInit)
      try values.encode(seed, forKey: .seed)
    }
  }

  private var decisive: Decisive {
    var numeric = settings.numeric
    if settings.isSpan {
      if let span = try? settings.span(in: model.layers) {
        numeric.fromLayer = span.fromLayer
        if case .layer(let end) = span.to { numeric.toLayer = end }
      }
    } else {
      numeric.layers = numeric.layers ?? Array(1...model.layers)
    }
    if numeric.tokens == .indices([-1]) { numeric.tokens = .last }
    return Decisive(
      numeric: numeric, randomInit: settings.common.randomInit, seed: settings.common.seed)
  }
}
