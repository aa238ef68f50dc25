import Checkpoint
import Files
import Foundation
import LinearAlgebra
import Model

/// The singular vectors of a finished run of `align` or `triplets`, read out as tokens, from `triplets.safetensors` and the
/// model.
package struct RunReading {
  /// What the vectors of one Jacobian say.
  package struct Vectors: Encodable, Sendable {
    /// Which Jacobian, in words.
    package let place: String
    /// The prompt's tokens, as the vocabulary has them.
    @Nullable package var tokens: [String?]?
    /// What u and v favour.
    package let readOut: ReadOut
  }

  /// One per Jacobian.
  package let vectors: [Vectors]

  /// Opens the model where the run had it, or elsewhere. `layers` are blocks of a run of `align`, from 1; nil for all.
  ///
  /// Throws `RunError.badRun` for what is not a finished run, `unfit` for another model than the run's, `badSetting`, and what
  /// opening the model throws.
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
          .layers, reason: "is for runs of align; this one is of triplets, leave it out")
      }
      (settings, recorded) = (record.head.settings.common, record.head.model)
      parts = Self.parts(record)
    case .eigen:
      throw RunError.unfit(path: folder, reason: "is of krylens eigen, which keeps no vectors")
    case .lens:
      throw RunError.unfit(
        path: folder, reason: "is of krylens lens fit; krylens lens read reads with it")
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
        reason: "is of other weights than \(settings.model) has now; name its own by \(.modelOfRun)"
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
    /// How the names of its arrays begin.
    let name: String
    let place: String
    let tokenIds: [Int]?
    let map: ReadMap

    /// A file says how long its vectors are, which is no proof.
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

  /// Of every prompt that did not fail the Jacobians of these blocks.
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
      throw .badSetting(.layers, reason: "names no block that the run has; leave it out for all")
    }
    return parts
  }
}
