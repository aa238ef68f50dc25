import Checkpoint
import Files
import Foundation
import LinearAlgebra
import Model

/// Reads the singular vectors of a finished run of `align` or `triplets` out as tokens, from `triplets.safetensors` and the
/// model.
package struct RunReading {
  /// The read-out of the vectors of one Jacobian.
  package struct Vectors: Encodable, Sendable {
    /// The Jacobian, in words.
    package let place: String
    /// The prompt's tokens, as the vocabulary has them.
    @Nullable package var tokens: [String?]?
    /// The tokens that u and v favour.
    package let readOut: ReadOut
  }

  /// One per Jacobian.
  package let vectors: [Vectors]

  /// Opens the model where the run found it, or at another path. `layers` are blocks of an `align` run, from 1; nil for all.
  ///
  /// Throws `RunError.badRun` for a folder that is not a finished run, `unfit` for another model than the run's, `badSetting`,
  /// and what opening the model throws.
  package init(
    _ folder: String, model: String? = nil, count: Int, top: Int, layers: [Int]? = nil
  ) throws {
    let parts: [Part]
    var settings: ModelSettings
    let recorded: ModelRecord
    switch RunKind(folder) {
    case .triplets:
      let record = try MapRunRecord(folder: folder)
      guard layers == nil else {
        throw RunError.badSetting(
          .layers, reason: "is for runs of align, but this is a run of triplets; leave it out")
      }
      (settings, recorded) = (record.head.settings.common, record.head.model)
      parts = Self.parts(record)
    case .eigen:
      throw RunError.unfit(
        path: folder, reason: "is a run of krylens eigen, which keeps no vectors")
    case .lens:
      throw RunError.unfit(
        path: folder, reason: "is a run of krylens lens fit; use it with krylens lens read")
    case .lensRead:
      throw RunError.unfit(
        path: folder, reason: "is a run of krylens lens read, which has read tokens already")
    case .align:
      let record = try StoredRun(folder, .identities).record
      guard record.complete else {
        throw RunError.badRun(path: folder, reason: "it is not finished")
      }
      (settings, recorded) = (record.settings.common, record.model)
      parts = try Self.parts(record, layers)
    }
    let arrays = try StoredTriplets(folder)
    if let model { settings.model = model }
    let loaded = try LoadedModel(opening: settings)
    guard try loaded.directory.fingerprint() == recorded.fingerprint else {
      throw RunError.unfit(
        path: folder,
        reason:
          "was made with other weights than \(settings.model) has now; give its own model with \(.modelOfRun)"
      )
    }
    let reader = try VectorReader(loaded, count: count)
    vectors = try loaded.engine.use {
      try parts.map { part in
        let (left, right) = try (
          arrays.matrix("\(part.name).U", top: top),
          arrays.matrix("\(part.name).V", top: top)
        )
        try part.check(left, right, width: recorded.width, folder)
        return Vectors(
          place: part.place, tokens: loaded.texts(of: part.tokenIds),
          readOut: ReadOut(part.map, left: left, right: right, by: reader))
      }
    }
  }

  /// One Jacobian of a run.
  private struct Part {
    /// The prefix of its arrays' names.
    let name: String
    let place: String
    let tokenIds: [Int]?
    let map: ReadMap

    /// Checks the length of the vectors, which a file may state wrongly.
    func check(
      _ left: Matrix<Double>, _ right: Matrix<Double>, width: Int, _ folder: String
    ) throws(RunError) {
      let isLeftSound =
        map.end == .logits
        ? left.columns % map.targets.count == 0 : left.columns == map.targets.count * width
      guard right.columns == map.sources.count * width, isLeftSound else {
        throw .badRun(
          path: folder, reason: "triplets.safetensors: \(name) has vectors of another length")
      }
    }
  }

  private static func parts(_ record: MapRunRecord) -> [Part] {
    record.maps.map { p, map in
      Part(
        name: MapResults.name(p),
        place: p.map { "prompt \($0 + 1)" } ?? "the average",
        tokenIds: p.flatMap { record.prompts[$0].entry.tokenIds }, map: ReadMap(map))
    }
  }

  /// The Jacobians of these blocks for each prompt that did not fail.
  private static func parts(_ record: RunRecord, _ layers: [Int]?) throws(RunError) -> [Part] {
    var parts: [Part] = []
    for (p, prompt) in record.prompts.enumerated() {
      for layer in prompt.layers where layers?.contains(layer.layer) ?? true {
        let (from, to) = (layer.fromToken, layer.toToken)
        parts.append(
          Part(
            name: StoredTriplets.name(
              prompt: p, layer: layer.layer, TokenSelection(source: from, target: to),
              variesTokens: record.settings.variesTokens),
            place: "prompt \(p + 1), block \(layer.layer), token \(from)"
              + (from == to ? "" : " to token \(to)"),
            tokenIds: prompt.tokenIds,
            map: ReadMap(
              end: record.settings.last == .normed && layer.layer == record.model.layers
                ? .final : .layer(layer.layer), targets: [to], sources: [from], hasLeft: true)))
      }
    }
    guard !parts.isEmpty else {
      throw .badSetting(.layers, reason: "names no block of the run; leave it out for all")
    }
    return parts
  }
}
